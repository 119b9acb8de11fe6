"""BSSL with both targets that cannot collapse: balanced pseudo-classes, and which image of the batch it is."""

import tensorflow as tf

from benchmarks.methods.variants.balanced import Balanced
from bssl_tf.methods.bssl import Terms


class Both(Balanced):
    """L_target is the mean of "balanced" and "contrast", on the same two classifiers; both teach the target."""

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        kl, own, signs = super()._balanced(target, student, views)
        matching, _, _ = self._contrast(target, student, views)
        return (kl + matching) / 2.0, own, signs
