"""BSSL, balanced, with several classifications of the same images: the pseudo-classes are shared out among heads.

Each head is balanced by itself, so that its classes are as coarse as few pseudo-classes make them, and all heads
together tell as many images apart as many do. As the several heads of SeLa (https://arxiv.org/abs/1911.05371).
"""

from typing import Annotated, Any

import tensorflow as tf

from benchmarks.methods.variants.balanced import Balanced
from bssl_tf.methods.bssl import Terms
from bssl_tf.methods.common.limits import Limits


class Heads(Balanced):
    """Args:
    heads: how many; the pseudo-classes are theirs together.
    """

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        heads: Annotated[int, Limits(1, 1000)] = 8,
        name: str = "heads",
        **options: Any,
    ):
        super().__init__(teacher, backbone, name=name, **options)
        self.heads = heads

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        pairs = zip(tf.split(target, self.heads, axis=-1), tf.split(student, self.heads, axis=-1), strict=True)
        found = [super(Heads, self)._balanced(*pair, views) for pair in pairs]
        kl, own = (tf.add_n(terms) / self.heads for terms in list(zip(*found, strict=True))[:2])
        return kl, own, {name: tf.add_n([signs[name] for _, _, signs in found]) / self.heads for name in found[0][2]}
