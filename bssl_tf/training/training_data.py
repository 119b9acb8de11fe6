"""What a phase learns from: a stream of views, and what to look at meanwhile."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bssl_tf.config.flags import Config
from bssl_tf.data import steps_per_epoch, training_views
from bssl_tf.data.augmentation.views import finish_batch
from bssl_tf.evaluation.features import extract_features
from bssl_tf.evaluation.protocols.knn import knn_accuracy
from bssl_tf.training.run_data import Inputs

ONLINE_KNN_TRAIN, ONLINE_KNN_TEST, PROBE_IMAGES = 5000, 1000, 64


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What the loop needs to know of the data.

    Attributes:
        views_from: step → (distributed) dataset of ``((view_1, view_2),)`` that starts at that step of the phase.
        steps_per_epoch: steps of an epoch.
        batch_size: images in a step.
        probe_images: (n, size, size, channels) pixels for the health monitor.
        knn: backbone → what gives its online 20-NN accuracy; None without labels.
    """

    views_from: Callable[[int], tf.data.Dataset]
    steps_per_epoch: int
    batch_size: int
    probe_images: np.ndarray
    knn: Callable[[tf.keras.Model], Callable[[], float]] | None


def view_seed(config: Config) -> int:
    """Seed of views that repeat, the same in both stages."""
    return 4 * config.run.seed + 3


def make_views(config: Config) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]] | None:
    """What is left to do in the training step to have views: nothing, or what --augment_on=device asks for."""
    if config.compute.augment_on == "host":
        return None
    return lambda crops, draws: finish_batch(crops, draws, config.views)


def training_data(
    config: Config,
    inputs: Inputs,
    batch_size: int,
    epochs: int,
    stream: int,
    *,
    multi_crop: bool = False,
    targets: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> TrainingData:
    """Views for a phase, shared out by the strategy in scope.

    Every phase draws its own stream of them, but those of a student's stages repeat where --view_cycle says so.

    Args:
        config: the run's.
        inputs: its images.
        batch_size: images in a step.
        epochs: epochs of the phase.
        stream: number of the phase, 0 for the teacher.
        multi_crop: whether local crops follow the large ones, where --local_crops asks for them.
        targets: epoch, ids → targets of the images or views, given to the method with them.
    """
    cycle = config.cache.view_cycle if stream > 0 else 0
    strategy = tf.distribute.get_strategy()

    def views_from(step: int) -> tf.data.Dataset:
        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            views = training_views(
                inputs.train,
                image_size=inputs.image_size,
                channels=inputs.channels,
                views=config.views,
                seed=4 * config.run.seed + stream,
                num_local_crops=config.views.local_crops if multi_crop else 0,
                view_seed=view_seed(config) if cycle else None,
                view_cycle=cycle,
                targets=targets,
                finish=config.compute.augment_on == "host",
                batch_size=batch_size,
                epochs=epochs,
                start_step=step,
                workers=context.num_input_pipelines,
                worker=context.input_pipeline_id,
                replicas=context.num_replicas_in_sync,
            )
            # Of data without an end the workers need not ask each other, at every step, whether all have some left.
            return views.repeat() if context.num_replicas_in_sync > 1 else views

        return strategy.distribute_datasets_from_function(share)

    probe = next(iter(inputs.images(inputs.train, every=max(1, inputs.train.num_examples // PROBE_IMAGES))))
    knn_wanted = config.run.knn_every > 0 and inputs.train.labels is not None and inputs.test.labels is not None
    return TrainingData(
        views_from=views_from,
        steps_per_epoch=steps_per_epoch(inputs.train, batch_size),
        batch_size=batch_size,
        probe_images=probe.numpy()[:PROBE_IMAGES],
        knn=_online_knn(inputs) if knn_wanted else None,
    )


def label_lookup(inputs: Inputs) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """What gives the labels of training images: epoch, ids (batch,) → int64 (batch,)."""
    place = np.argsort(inputs.train.ids)
    ids, labels = tf.constant(inputs.train.ids[place]), tf.constant(inputs.train.labels[place])
    return lambda epoch, wanted: tf.gather(labels, tf.searchsorted(ids, wanted))


class LocalFeatures:
    """Features of a backbone that is being trained. Keras's `predict` would ask all workers; this computes alone."""

    def __init__(self, backbone: tf.keras.Model):
        signature = [tf.TensorSpec(backbone.input_shape, tf.float32)]
        self._function = tf.function(lambda pixels: backbone(pixels, training=False), input_signature=signature)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self._function(images.astype(np.float32)).numpy()


def _online_knn(inputs: Inputs) -> Callable[[tf.keras.Model], Callable[[], float]]:
    """20-NN accuracy on about 1 000 test images, neighbours among about 5 000 training images."""
    every_train = max(1, inputs.train.num_examples // ONLINE_KNN_TRAIN)
    every_test = max(1, inputs.test.num_examples // ONLINE_KNN_TEST)
    train, test = inputs.images(inputs.train, every_train).cache(), inputs.images(inputs.test, every_test).cache()
    train_labels, test_labels = inputs.train.labels[::every_train], inputs.test.labels[::every_test]

    def knn_of(backbone: tf.keras.Model) -> Callable[[], float]:
        network = LocalFeatures(backbone)
        return lambda: knn_accuracy(
            extract_features(network, train),
            train_labels,
            extract_features(network, test),
            test_labels,
            k=min(20, len(train_labels)),
        )

    return knn_of
