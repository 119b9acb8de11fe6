"""BSSL, balanced; each stage ends with a moving average of the student's latent weights, taken before the sign."""

from typing import Annotated

import tensorflow as tf

from bssl_tf.methods.bssl import Bssl
from bssl_tf.methods.common.limits import Limits
from bssl_tf.methods.common.momentum import assign, follow, momentum_copy


class Averaged(Bssl):
    """Args:
    momentum: of the average.
    """

    options_are_flags = False
    compares_images = True

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        total_steps: int,
        momentum: Annotated[float, Limits(0.0, 1.0)] = 0.98,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.1,
        pseudo_classes: Annotated[int, Limits(2, 1_000_000)] = 256,
        name: str = "averaged",
    ):
        super().__init__(teacher, backbone, temperature=temperature, pseudo_classes=pseudo_classes, name=name)
        self.total_steps, self.momentum = total_steps, momentum
        self.average = momentum_copy(backbone)

    @property
    def networks(self) -> dict[str, tf.Module]:
        return super().networks | {"average": self.average}

    def after_step(self, **_: tf.Tensor) -> None:
        follow(self.average, self.backbone, self.momentum, statistics=True)
        last = self.optimizer.iterations >= self.total_steps
        pairs = list(zip(self.backbone.weights, self.average.weights, strict=True))
        assign([mine for mine, _ in pairs], [tf.where(last, average, mine) for mine, average in pairs])
