"""BSSL, balanced, with a contrastive term between the student's own two views, as S2-BNN has it."""

from typing import Annotated

import tensorflow as tf

from bssl_tf.losses import nt_xent
from bssl_tf.methods.bssl import Bssl, Terms
from bssl_tf.methods.common.limits import Limits


class OwnViews(Bssl):
    """Args:
    contrastive: weight of the term.
    """

    options_are_flags = False
    compares_images = True

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        contrastive: Annotated[float, Limits(0.0, 1000.0)] = 0.5,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.1,
        pseudo_classes: Annotated[int, Limits(2, 1_000_000)] = 256,
        name: str = "own_views",
    ):
        super().__init__(teacher, backbone, temperature=temperature, pseudo_classes=pseudo_classes, name=name)
        self.contrastive = contrastive

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        kl, own, signs = super()._balanced(target, student, views)
        between = tf.reduce_mean(nt_xent(*tf.split(student, 2), self.temperature))
        return kl, own + self.contrastive * between, signs
