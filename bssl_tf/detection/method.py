"""Detection as a `Method`: the training step, checkpoints, metrics and health checks of every other phase serve it."""

from typing import Any

import tensorflow as tf

from bssl_tf.detection.losses import focal_loss, giou_loss
from bssl_tf.detection.model import NUM_EXTRA, Detector
from bssl_tf.detection.postprocessing import predicted_boxes
from bssl_tf.detection.targets import assign
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import replica_mean


class Detection(Method):
    """FCOS's loss (https://arxiv.org/abs/1904.01355, equation 2), with GIoU for the boxes as in its improved version.

    A batch is ``((images,), boxes, classes)``, see `batches.training_batches`.

        L = Σ focal / N  +  Σ centreness* · (1 - GIoU) / Σ centreness*  +  Σ₊ cross entropy of centreness / N

    N: positions with an object; centreness*: of the target, so that boxes seen from their middle count most.

    Args:
        detector: what is trained.
        train_backbone: False: the backbone is frozen, its batch norms included.
        multipliers: name of a layer → factor of its learning rate, for those where it is not 1.
    """

    reported = ("loss", "class_loss", "box_loss", "centreness_loss", "objects")

    def __init__(
        self,
        detector: Detector,
        *,
        train_backbone: bool = True,
        multipliers: dict[str, float] | None = None,
        name: str = "detection",
    ):
        super().__init__(name=name)
        detector.backbone.trainable = train_backbone
        self.detector = detector.model
        self._grid, self._num_classes = detector.grid, detector.num_classes
        multipliers = multipliers or {}
        self._slow = [
            (weight, multipliers[layer.name])
            for layer in detector.model.layers
            if layer.name in multipliers
            for weight in layer.trainable_weights
        ]

    @property
    def backbone(self) -> tf.keras.Model:
        """What the health monitor watches: all of the detector, neck and head too."""
        return self.detector

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {"detector": self.detector}

    def loss_terms(  # type: ignore[override]  # a batch has boxes and classes
        self, views: tuple[tf.Tensor, ...], boxes: tf.Tensor, classes: tf.Tensor, *, training: bool
    ) -> dict[str, tf.Tensor]:
        (images,) = views
        raw = self.detector(images, training=training)
        targets = assign(self._grid, boxes, classes)
        positive = tf.cast(targets.classes >= 0, tf.float32)
        count = replica_mean(tf.reduce_sum(positive))
        labels = tf.one_hot(targets.classes, self._num_classes)  # of -1: all zero
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets.centreness, raw[..., -1])
        boxes_apart = giou_loss(targets.boxes, predicted_boxes(self._grid, raw))
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        at_least_one, weight = tf.maximum(count, 1.0 / replicas), targets.centreness
        weights = replica_mean(tf.reduce_sum(weight))
        terms = {
            "class_loss": tf.reduce_sum(focal_loss(labels, raw[..., :-NUM_EXTRA])) / at_least_one,
            "box_loss": tf.reduce_sum(weight * boxes_apart) / tf.maximum(weights, 1e-6),
            "centreness_loss": tf.reduce_sum(positive * entropy) / at_least_one,
        }
        learned = tf.reduce_sum(tf.cast(classes >= 0, tf.float32)) / tf.cast(tf.shape(classes)[0], tf.float32)
        return {"loss": tf.add_n(list(terms.values())), **terms, "objects": learned}

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """As every method's; layers with a multiplier go only that part of the way, whatever the optimizer."""
        before = [tf.identity(weight) for weight, _ in self._slow]
        with tf.control_dependencies(before):
            report = super().train_step(data)
        for (weight, multiplier), old in zip(self._slow, before, strict=True):
            weight.assign(old + multiplier * (weight - old))
        return report
