"""Supervised: cross entropy of a linear classifier. The bar that learning without labels is measured by.

The paper's supervised ReActNet-A is trained with the recipe of https://arxiv.org/abs/2003.03488; here it has the same
views, optimizer and epochs as every other method.
"""

from typing import Annotated

import tensorflow as tf

from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import feature_std
from bssl_tf.methods.common.limits import Limits


class Supervised(Method):
    """A backbone and a linear classifier. A batch is ``((view_1, view_2), labels)``, labels int64 (batch,).

    Args:
        backbone: pixels (batch, size, size, channels) → features (batch, width).
        num_classes: classes of the data.
        label_smoothing: share of each label's probability that is spread over all classes.
    """

    head: tf.keras.Model

    reported = ("loss", "accuracy", "feature_std")

    def __init__(
        self,
        backbone: tf.keras.Model,
        *,
        num_classes: int,
        label_smoothing: Annotated[float, Limits(0.0, 1.0)] = 0.0,
        name: str = "supervised",
    ):
        super().__init__(name=name)
        self.num_classes, self.label_smoothing = num_classes, label_smoothing
        self.backbone = backbone
        features = tf.keras.Input((backbone.output_shape[-1],), name="features", dtype="float32")
        logits = tf.keras.layers.Dense(num_classes, dtype="float32")(features)
        self.head = tf.keras.Model(features, logits, name="classifier")

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {"backbone": self.backbone, "classifier": self.head}

    def loss_terms(  # type: ignore[override]  # its dataset holds labels, too
        self, views: tuple[tf.Tensor, ...], labels: tf.Tensor, *, training: bool
    ) -> dict[str, tf.Tensor]:
        labels = tf.tile(labels, [len(views)])
        features = self.backbone(tf.concat(views, axis=0), training=training)
        logits = self.head(features, training=training)
        smoothed = tf.one_hot(labels, self.num_classes) * (1 - self.label_smoothing)
        smoothed += self.label_smoothing / self.num_classes
        hits = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
        return {
            "loss": tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)),
            "accuracy": tf.reduce_mean(tf.cast(hits, tf.float32)),
            "feature_std": feature_std(features),
        }
