"""BSSL, balanced; each stage ends with a moving average of the student's latent weights, taken before the sign."""

from typing import Annotated, Any

import tensorflow as tf

from benchmarks.methods.variants.balanced import Balanced
from bssl_tf.methods.common.limits import Limits
from bssl_tf.methods.common.momentum import assign, follow, momentum_copy


class Averaged(Balanced):
    """Args:
    momentum: of the average.
    """

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        total_steps: int,
        momentum: Annotated[float, Limits(0.0, 1.0)] = 0.98,
        name: str = "averaged",
        **options: Any,
    ):
        super().__init__(teacher, backbone, name=name, **options)
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
