"""Trains a classifier on labelled images: random crops and flips, cross-entropy, any part of the network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.config.training import ViewSettings
from bssl_tf.data import Source, readable_data_errors, training_views
from bssl_tf.models.classifier import Classifier
from bssl_tf.native_logs import start_xla


@dataclass(frozen=True)
class ClassifierTraining:
    """How to train.

    Attributes:
        optimizer: a Keras optimizer with its schedule.
        steps: how long.
        batch_size: images in a step; all, where there are fewer.
        views: crops and flips; colours stay as they are.
        seed: of order and crops.
        layerwise_lr_decay: learning rate of the first layer of the backbone relative to the classifier's; in between it
            falls as a geometric series over the layers. 1: the same for all.
        train_backbone: False: the backbone is frozen, batch norms included.
    """

    optimizer: tf.keras.optimizers.Optimizer
    steps: int
    batch_size: int
    views: ViewSettings
    seed: int
    layerwise_lr_decay: float = 1.0
    train_backbone: bool = True


def train_classifier(
    classifier: Classifier, images: Source, training: ClassifierTraining, progress: Callable[..., Any]
) -> None:
    """Train in place.

    Args:
        classifier: its head is trained, and its backbone too if `training` says so. Latent weights of binary layers are
            trained through their quantizers: the network stays binary.
        images: labelled images.
        training: how.
        progress: as in `base.Task`.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    batch_size = min(training.batch_size, images.num_examples)
    steps_per_epoch = images.num_examples // batch_size
    batches = _labelled_views(classifier, images, training, batch_size, -(-training.steps // steps_per_epoch))
    step = _training_step(classifier, training)
    start_xla()
    shown = progress("training", training.steps, steps_per_epoch, batch_size)
    try:
        with readable_data_errors():
            for number, (pixels, labels) in enumerate(batches.take(training.steps), start=1):
                loss = float(step(tf.cast(pixels, tf.float32), labels))
                if not np.isfinite(loss):
                    raise FloatingPointError(
                        f"The loss is {loss} after {number} steps: lower --sgd_learning_rate or "
                        "--finetune_learning_rate."
                    )
                shown.show({"loss": loss})
                shown.advance(number)
    finally:
        shown.close()


def learning_rate_multipliers(backbone: tf.keras.Model, layerwise_lr_decay: float) -> dict[str, float]:
    """Name → multiplier of every layer with trainable weights: from `layerwise_lr_decay` up, geometric in depth."""
    layers = [layer for layer in backbone.layers if layer.trainable_weights]
    return {layer.name: layerwise_lr_decay ** (1 - place / len(layers)) for place, layer in enumerate(layers)}


def _labelled_views(
    classifier: Classifier, images: Source, training: ClassifierTraining, batch_size: int, epochs: int
) -> tf.data.Dataset:
    """Batches of (pixels uint8, labels)."""
    ids, labels = tf.constant(images.ids, tf.int64), tf.constant(images.labels, tf.int64)
    class_of = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(ids, labels), default_value=-1)
    views = training_views(
        images,
        image_size=classifier.spec.image_size,
        channels=classifier.spec.channels,
        views=training.views,
        seed=training.seed,
        batch_size=batch_size,
        epochs=epochs,
        num_views=1,
        targets=tf.autograph.experimental.do_not_convert(lambda epoch, ids: class_of.lookup(ids)),
    )
    return views.map(tf.autograph.experimental.do_not_convert(lambda views, labels: (views[0], labels)))


def _training_step(classifier: Classifier, training: ClassifierTraining) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    backbone, head, optimizer = classifier.backbone, classifier.head, training.optimizer
    slow = []
    if training.train_backbone and training.layerwise_lr_decay != 1:
        multipliers = learning_rate_multipliers(backbone, training.layerwise_lr_decay)
        layers = [layer for layer in backbone.layers if layer.name in multipliers]
        slow = [(weight, multipliers[layer.name]) for layer in layers for weight in layer.trainable_weights]
    variables = (backbone.trainable_variables if training.train_backbone else []) + head.trainable_variables
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = head(backbone(pixels, training=training.train_backbone))
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, variables)
        before = [tf.identity(weight) for weight, _ in slow]
        with tf.control_dependencies(before):
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for (weight, multiplier), old in zip(
            slow, before, strict=True
        ):  # a part of the way is a part of the learning rate
            weight.assign(old + multiplier * (weight - old))
        return loss

    return step
