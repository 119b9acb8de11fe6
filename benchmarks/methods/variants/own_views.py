"""BSSL, balanced, with a contrastive term between the student's own two views, as S2-BNN has it."""

from typing import Annotated, Any

import tensorflow as tf

from benchmarks.methods.variants.balanced import Balanced
from bssl_tf.losses import nt_xent
from bssl_tf.methods.bssl import Terms
from bssl_tf.methods.common.limits import Limits


class OwnViews(Balanced):
    """Args:
    contrastive: weight of the term.
    """

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        contrastive: Annotated[float, Limits(0.0, 1000.0)] = 0.5,
        name: str = "own_views",
        **options: Any,
    ):
        super().__init__(teacher, backbone, name=name, **options)
        self.contrastive = contrastive

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        kl, own, signs = super()._balanced(target, student, views)
        between = tf.reduce_mean(nt_xent(*tf.split(student, 2), self.temperature))
        return kl, own + self.contrastive * between, signs
