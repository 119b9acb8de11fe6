"""SimCLR: contrastive learning within a batch (https://arxiv.org/abs/2002.05709, equation 1).

Constants of the reference that differ here, for small data on few cores: Adam instead of LARS, batches
of hundreds instead of thousands, a projection of two layers without a last batch norm.
"""

from typing import Annotated

import tensorflow as tf

from bssl_tf.losses import nt_xent
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import feature_std, global_batch
from bssl_tf.methods.common.limits import Limits
from bssl_tf.models import mlp_head


class SimClr(Method):
    """A backbone that learns to tell two views of one image from all other images of the batch.

    Args:
        backbone: pixels (batch, size, size, channels) → features (batch, width).
        projection_size: outputs of the projection, a two-layer MLP that is dropped after training.
        temperature: of the loss.
    """

    head: tf.keras.Model

    reported = ("loss", "feature_std")
    compares_images = True

    def __init__(
        self,
        backbone: tf.keras.Model,
        *,
        projection_size: Annotated[int, Limits(1, 65_536)] = 128,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.2,
        name: str = "simclr",
    ):
        super().__init__(name=name)
        width = backbone.output_shape[-1]
        self.temperature = temperature
        self.backbone = backbone
        self.head = mlp_head(width, width, projection_size, name="projection")

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {"backbone": self.backbone, "projection": self.head}

    def loss_terms(self, views: tuple[tf.Tensor, ...], *, training: bool) -> dict[str, tf.Tensor]:
        features = self.backbone(tf.concat(views, axis=0), training=training)
        first, second = tf.split(self.head(features, training=training), 2)
        loss = tf.reduce_mean(nt_xent(global_batch(first), global_batch(second), self.temperature))
        return {"loss": loss, "feature_std": feature_std(features)}
