"""What a phase learns from: a stream of views, and images to monitor it with."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bssl_tf.config.data import ViewSettings
from bssl_tf.data import Source, steps_per_epoch, training_views
from bssl_tf.data.augmentation.views import finish_batch
from bssl_tf.evaluation.features import extract_features
from bssl_tf.evaluation.protocols.knn import knn_accuracy
from bssl_tf.training.run_data import RunData

ONLINE_KNN_TRAIN, ONLINE_KNN_TEST, PROBE_IMAGES = 5000, 2000, 64
"""Most images for the online 20-NN accuracy (neighbours, and those to be classified); about so many for the health."""


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The data of a phase as the loop uses it.

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


def order_seed(seed: int, phase: int) -> int:
    """Seed of the order of images (and of views that do not repeat): phase 0 is the teacher, 1 and 2 the stages."""
    return 4 * seed + phase


def repeated_view_seed(seed: int) -> int:
    """Seed of views that repeat, the same in both stages."""
    return 4 * seed + 3


def view_seed(seed: int, phase: int, view_cycle: int) -> int:
    """Seed of the views of a phase that repeat after `view_cycle` epochs, or never (0)."""
    return repeated_view_seed(seed) if view_cycle else order_seed(seed, phase)


def make_views(views: ViewSettings, augment_on: str) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]] | None:
    """What is left to do in the training step to have views: nothing, or what --augment_on=device leaves to it."""
    if augment_on == "host":
        return None
    return lambda crops, draws: finish_batch(crops, draws, views)


def training_data(
    data: RunData,
    *,
    views: ViewSettings,
    seed: int,
    phase: int,
    batch_size: int,
    epochs: int,
    augment_on: str = "host",
    multi_crop: bool = False,
    view_cycle: int = 0,
    targets: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    online_knn: bool = False,
    decoded_cache_mb: int,
) -> TrainingData:
    """Views for a phase, shared out by the strategy in scope.

    Every phase draws its own stream of them, but those of a student's stages repeat where there is a `view_cycle`.

    Args:
        data: the run's images.
        views: strengths and probabilities.
        seed: the run's.
        phase: number of the phase, 0 for the teacher.
        batch_size: images in a step.
        epochs: epochs of the phase.
        augment_on: "host", or "device": leave jitter, grey and blur to the training step (`make_views`).
        multi_crop: whether local crops follow the large ones, where --local_crops sets them.
        view_cycle: epochs after which views repeat; 0: never.
        targets: epoch, ids → targets of the images or views, given to the method with them.
        online_knn: whether to offer the online 20-NN accuracy; only where both splits have labels.
        decoded_cache_mb: most memory for the images of the online 20-NN accuracy, in MiB; where they take more, they
            are decoded at every measurement.
    """
    strategy = tf.distribute.get_strategy()

    def views_from(step: int) -> tf.data.Dataset:
        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            batches = training_views(
                data.train,
                image_size=data.image_size,
                channels=data.channels,
                views=views,
                seed=order_seed(seed, phase),
                num_local_crops=views.local_crops if multi_crop else 0,
                view_seed=view_seed(seed, phase, view_cycle),
                view_cycle=view_cycle,
                targets=targets,
                finish=augment_on == "host",
                batch_size=batch_size,
                epochs=epochs,
                start_step=step,
                workers=context.num_input_pipelines,
                worker=context.input_pipeline_id,
                replicas=context.num_replicas_in_sync,
            )
            # Of data without an end the workers need not find out, at every step, whether all have some left.
            return batches.repeat() if context.num_replicas_in_sync > 1 else batches

        return strategy.distribute_datasets_from_function(share)

    probe = next(iter(data.images(data.train, every=max(1, data.train.num_examples // PROBE_IMAGES))))
    has_labels = data.train.labels is not None and data.test.labels is not None
    return TrainingData(
        views_from=views_from,
        steps_per_epoch=steps_per_epoch(data.train, batch_size),
        batch_size=batch_size,
        probe_images=probe.numpy()[:PROBE_IMAGES],
        knn=_online_knn(data, decoded_cache_mb) if online_knn and has_labels else None,
    )


def labels_of(source: Source) -> np.ndarray:
    """Labels of a source that has some; `check_training` has refused one without."""
    if source.labels is None:
        raise ValueError(f"{source.name} has no labels.")
    return source.labels


def label_lookup(data: RunData) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """What gives the labels of training images: epoch, ids (batch,) → int64 (batch,)."""
    place = np.argsort(data.train.ids)
    ids, labels = tf.constant(data.train.ids[place]), tf.constant(labels_of(data.train)[place])
    return lambda epoch, ids_of_batch: tf.gather(labels, tf.searchsorted(ids, ids_of_batch))


class LocalFeatures:
    """Features of a backbone that is being trained. Keras's `predict` would need all workers; this computes alone."""

    def __init__(self, backbone: tf.keras.Model):
        signature = [tf.TensorSpec(backbone.input_shape, tf.float32)]
        self._function = tf.function(lambda pixels: backbone(pixels, training=False), input_signature=signature)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self._function(images.astype(np.float32)).numpy()


def _online_knn(data: RunData, limit_mb: int) -> Callable[[tf.keras.Model], Callable[[], float]]:
    """20-NN accuracy on at most 2 000 test images, neighbours among at most 5 000 training images."""
    every_train = math.ceil(data.train.num_examples / ONLINE_KNN_TRAIN)
    every_test = math.ceil(data.test.num_examples / ONLINE_KNN_TEST)
    train, test = data.images(data.train, every_train), data.images(data.test, every_test)
    train_labels, test_labels = labels_of(data.train)[::every_train], labels_of(data.test)[::every_test]
    if (len(train_labels) + len(test_labels)) * data.image_size**2 * data.channels <= limit_mb * 2**20:
        train, test = train.cache(), test.cache()

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
