"""MoCo v2: contrastive learning against a queue (https://arxiv.org/abs/1911.05722, equations 1 and 2; https://arxiv.org/abs/2003.04297).

Constants of the reference: queue 65 536, momentum 0.999, temperature 0.2, projection of 128 with one hidden layer, SGD
0.03, 200 to 800 epochs of ImageNet. Here, for some thousands of images and epochs in tens: queue 4 096, momentum 0.99,
each view is a query once (the reference: the first view only, `symmetric=False`).

The reference shuffles images between GPUs so that batch norm cannot tell a query which key is its own. Here batch norm
sees the whole batch, and the key encoder runs in inference mode instead, on moving averages of the query encoder's
statistics (https://arxiv.org/abs/2101.08482).
"""

from typing import Annotated

import tensorflow as tf

from bssl_tf.losses import info_nce
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import feature_std, global_batch
from bssl_tf.methods.common.frozen_teacher import swap_views
from bssl_tf.methods.common.limits import Limits
from bssl_tf.methods.common.momentum import assign, follow, momentum_copy
from bssl_tf.models import mlp_head


class MocoV2(Method):
    """A backbone whose projection of a view is to match that of the other view among a queue of earlier images' keys.

    Args:
        backbone: pixels (batch, size, size, channels) → features (batch, width).
        queue_size: keys that are remembered.
        momentum: of the key encoder.
        temperature: of the loss.
        projection_size: outputs of the projection, a two-layer MLP.
        symmetric: each view is a query once, and its key is remembered; else the first is query, the second key.
    """

    head: tf.keras.Model

    reported = ("loss", "contrast_accuracy", "feature_std")
    step_outputs = ("keys",)
    compares_images = True

    def __init__(
        self,
        backbone: tf.keras.Model,
        *,
        queue_size: Annotated[int, Limits(1, 1_000_000)] = 4096,
        momentum: Annotated[float, Limits(0.0, 1.0)] = 0.99,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.2,
        projection_size: Annotated[int, Limits(1, 65_536)] = 128,
        symmetric: bool = True,
        name: str = "moco_v2",
    ):
        super().__init__(name=name)
        width = backbone.output_shape[-1]
        self.momentum, self.temperature, self.symmetric = momentum, temperature, symmetric
        self.backbone, self.head = backbone, mlp_head(width, width, projection_size, name="projection")
        self.key_backbone, self.key_head = momentum_copy(self.backbone), momentum_copy(self.head)
        # The reference, too, begins with random directions.
        directions = tf.math.l2_normalize(tf.random.normal((queue_size, projection_size)), axis=-1)
        only_first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.queue = tf.Variable(directions, trainable=False, name="queue", aggregation=only_first)

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {
            "backbone": self.backbone,
            "projection": self.head,
            "key_backbone": self.key_backbone,
            "key_projection": self.key_head,
            "queue": self.queue,
        }

    def optimizer_groups(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        return [(self.optimizer, self.backbone.trainable_variables + self.head.trainable_variables)]

    def loss_terms(self, views: tuple[tf.Tensor, ...], *, training: bool) -> dict[str, tf.Tensor]:
        if self.symmetric:
            images = tf.concat(views, axis=0)
            keys = swap_views(self._keys(images), len(views))
        else:
            images, keys = views[0], self._keys(views[1])
        features = self.backbone(images, training=training)
        queries = self.head(features, training=training)
        losses, hits = info_nce(queries, keys, self.queue, self.temperature)
        return {
            "loss": tf.reduce_mean(losses),
            "contrast_accuracy": tf.reduce_mean(tf.cast(hits, tf.float32)),
            "feature_std": feature_std(features),
            "keys": keys,
        }

    def after_step(self, keys: tf.Tensor) -> None:  # type: ignore[override]  # what `step_outputs` names
        """The key encoder follows; the batch's keys take the place of the oldest ones in the queue."""
        follow(self.key_backbone, self.backbone, self.momentum, statistics=True)
        follow(self.key_head, self.head, self.momentum, statistics=True)
        newest_first = tf.concat([global_batch(keys), self.queue], axis=0)[: self.queue.shape[0]]
        assign([self.queue], [newest_first])

    def _keys(self, images: tf.Tensor) -> tf.Tensor:
        keys = self.key_head(self.key_backbone(images, training=False), training=False)
        return tf.stop_gradient(tf.math.l2_normalize(keys, axis=-1))
