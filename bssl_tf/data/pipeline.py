"""From a `Source` to batches: random views for training, plain images for evaluation.

    for ((v1, v2),) in training_views(source, image_size=28, channels=1, views=ViewSettings(),
                                      seed=0, batch_size=256, epochs=100):
        ...

The batch of step s is a pure function of (seed, s): a run resumed at ``start_step`` sees what the
uninterrupted run would have seen, on one machine or on several, each of which takes its part of every batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.augmentation.randomness import VIEWS, epoch_key, image_key
from bssl_tf.data.augmentation.views import (
    are_small,
    draw_views,
    finish_batch,
    local_crops,
    random_crops,
    random_crops_of_batch,
    views_of_image,
)
from bssl_tf.data.framing import centre, to_channels
from bssl_tf.data.sources.base import DataError, Source, readable_data_errors

DECODED_PER_SIZE = 2  # photos are decoded at up to twice the size the networks see


def steps_per_epoch(source: Source, batch_size: int, flag: str = "--batch_size") -> int:
    """Full batches in an epoch; the images left over are other ones each epoch.

    Args:
        source: where the images come from.
        batch_size: images in a step.
        flag: what the user calls `batch_size`, for the error.

    Raises:
        DataError: the source has fewer images than a batch.
    """
    if source.num_examples < batch_size:
        raise DataError(
            f"{flag} is {batch_size}, but {source.name} has only {source.num_examples} images to train "
            f"on. Give a {flag} of at most {source.num_examples}, or more images."
        )
    return source.num_examples // batch_size


def training_views(
    source: Source,
    *,
    image_size: int,
    channels: int,
    views: ViewSettings,
    seed: int,
    batch_size: int,
    epochs: int,
    start_step: int = 0,
    num_views: int = 2,
    num_local_crops: int = 0,
    view_seed: int | None = None,
    view_cycle: int = 0,
    targets: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    finish: bool = True,
    workers: int = 1,
    worker: int = 0,
    replicas: int = 1,
) -> tf.data.Dataset:
    """Batches of random views, from step ``start_step`` to the end of the last epoch.

    Args:
        source: where the images come from.
        image_size: height and width of the views.
        channels: 1 or 3; grey images are repeated, RGB images turned grey, as needed.
        views: strengths and probabilities.
        seed: seed of the order.
        batch_size: images in a batch, on all workers together.
        epochs: passes over the source, counted from step 0.
        start_step: first step; earlier images are skipped without being decoded.
        num_views: views of each image.
        num_local_crops: smaller views that follow them (`augmentation.views.local_crops`).
        view_seed: seed of the views; that of the order by default.
        view_cycle: epochs after which the views (not their order) repeat; 0: never.
        targets: epoch, ids (batch,) → targets of these images or of their views; they follow the views in each element.
        finish: False: leave jitter, grey and blur to `finish_batch`, which may run on an accelerator.
        workers: machines that share every batch, image by image in turn.
        worker: which of them this is, from 0.
        replicas: devices of all machines; each takes an equal part of the batch, an element of its own.

    Returns:
        A data set of ``((v1, v2, …),)``, each view uint8 of shape (batch_size / replicas, image_size, image_size,
        channels), small ones smaller; the i-th rows of all views show the same image. A step takes replicas / workers
        elements. Without ``finish`` of ``((crops, draws),)``: uint8 of shape (batch_size / replicas, num_views,
        image_size, image_size, channels) and float32 of shape (batch_size / replicas, num_views, len(DRAWS)), from
        which ``finish_batch(crops, draws, views)`` makes the same views.

    Raises:
        DataError: the source has fewer images than a batch.
        ValueError: ``start_step`` is outside the run, the batch cannot be shared out evenly, or local crops are to be
            left unfinished.
    """
    if num_local_crops and not finish:
        raise ValueError("local crops are of another size than the large ones: they have to be finished here.")
    if batch_size % replicas or replicas % workers or not 0 <= worker < workers:
        raise ValueError(f"worker {worker} of {workers} with {replicas} devices cannot share batches of {batch_size}.")
    steps = steps_per_epoch(source, batch_size)
    if not 0 <= start_step <= epochs * steps:
        raise ValueError(f"start_step must be in 0 … {epochs * steps} ({epochs} epochs), not {start_step}.")
    first_epoch, first_batch = divmod(start_step, steps)
    view_seed = seed if view_seed is None else view_seed

    @tf.autograph.experimental.do_not_convert
    def batches_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        skipped = tf.where(epoch == first_epoch, tf.constant(first_batch * batch_size, tf.int64), 0)
        examples = source.examples(epoch, seed).take(steps * batch_size).skip(skipped)
        examples = examples.shard(workers, worker)  # every batch starts at a multiple of `workers`
        key = epoch_key(view_seed, epoch % view_cycle if view_cycle else epoch, VIEWS)
        return examples.map(lambda example: (example["record"], example["id"], key, epoch))

    @tf.autograph.experimental.do_not_convert
    def add_targets(made: Any, ids: tf.Tensor, epochs_of_images: tf.Tensor) -> tuple[Any, ...]:
        return (made,) if targets is None else (made, targets(epochs_of_images[0], ids))

    examples = tf.data.Dataset.range(first_epoch, epochs).flat_map(batches_of_epoch)
    maker = _ViewMaker(source, image_size, channels, views, num_views, num_local_crops, finish)
    dataset = maker.batches(examples, batch_size // replicas).map(add_targets, num_parallel_calls=tf.data.AUTOTUNE)
    elements = (epochs * steps - start_step) * (replicas // workers)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(elements))
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def views_in_order(
    source: Source, *, image_size: int, channels: int, views: ViewSettings, seed: int, epoch: int, start: int = 0
) -> tf.data.Dataset:
    """The two views that `training_views` makes of every image in one epoch, in the fixed order of the source.

    Args:
        source: as for `training_views`, like the next three.
        image_size: height and width of the views.
        channels: 1 or 3.
        views: augmentation.
        seed: its ``view_seed``.
        epoch: which epoch's views, from 0.
        start: image to begin with.

    Returns:
        A data set of ``(v1, v2)``, batches of up to 256.
    """
    key = epoch_key(seed, epoch, VIEWS)
    examples = source.examples().skip(start).map(lambda example: (example["record"], example["id"], key, epoch))
    dataset = _ViewMaker(source, image_size, channels, views).batches(examples, 256, drop_remainder=False)
    return dataset.map(lambda made, ids, epochs: made).with_options(_options()).prefetch(tf.data.AUTOTUNE)


@dataclass(frozen=True)
class _ViewMaker:
    source: Source
    image_size: int
    channels: int
    views: ViewSettings
    num_views: int = 2
    num_local_crops: int = 0
    finish: bool = True

    def batches(self, examples: tf.data.Dataset, size: int, drop_remainder: bool = True) -> tf.data.Dataset:
        """From (record, id, key, epoch) of single images to batches of (views, ids, epochs)."""
        parallel = dict(num_parallel_calls=tf.data.AUTOTUNE)
        batched = dict(batch_size=size, drop_remainder=drop_remainder)
        if self.source.decodes_batches and are_small(self.source.image_shape, self.image_size):
            return examples.batch(**batched).map(self._of_batch, **parallel)
        return examples.map(self._of_image, **parallel).batch(**batched, **parallel)

    @tf.autograph.experimental.do_not_convert
    def _of_image(
        self, record: Any, image_id: tf.Tensor, key: tf.Tensor, epoch: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        image = self.source.decode(record, short_side=DECODED_PER_SIZE * self.image_size)
        image = to_channels(image, self.channels)
        draws = self._draws(key, image_id)
        if not self.finish:
            return (random_crops(image, draws, self.image_size, self.views), draws), image_id, epoch
        made = (views_of_image(image, *each) for each in self._parts(draws))
        return sum(made, ()), image_id, epoch

    @tf.autograph.experimental.do_not_convert
    def _of_batch(
        self, records: Any, image_ids: tf.Tensor, keys: tf.Tensor, epochs: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        images = to_channels(self.source.decode(records), self.channels)
        draws = tf.map_fn(lambda each: self._draws(keys[0], each), image_ids, fn_output_signature=tf.float32)
        if not self.finish:
            return (random_crops_of_batch(images, draws, self.image_size, self.views), draws), image_ids, epochs
        made = (
            finish_batch(random_crops_of_batch(images, drawn, size, views), drawn, views)
            for drawn, size, views in self._parts(draws)
        )
        return sum(made, ()), image_ids, epochs

    def _draws(self, key: tf.Tensor, image_id: tf.Tensor) -> tf.Tensor:
        return draw_views(image_key(key, image_id), self.num_views + self.num_local_crops)

    def _parts(self, draws: tf.Tensor) -> list[tuple[tf.Tensor, int, ViewSettings]]:
        """Draws, size and settings of the large views, and of the small ones if there are any."""
        parts = [(draws[..., : self.num_views, :], self.image_size, self.views)]
        if self.num_local_crops:
            parts.append((draws[..., self.num_views :, :], *local_crops(self.views, self.image_size)))
        return parts


def evaluation_images(
    source: Source, *, image_size: int, channels: int, batch_size: int = 256, every: int = 1
) -> tf.data.Dataset:
    """All images in the fixed order of ``source.labels``, each whole or its centre.

    An image of the right size stays as it is. The short side of a larger one is resized to 256/224 of
    ``image_size`` and the centre cut out; the short side of any other is resized to ``image_size``.

    Args:
        source: where the images come from.
        image_size: height and width of the images given.
        channels: 1 or 3.
        batch_size: images in a batch.
        every: only each so-many-th image (``source.labels[::every]``); the others are not decoded.

    Returns:
        A data set of uint8 of shape (batch, image_size, image_size, channels); the last batch may be smaller.
    """

    @tf.autograph.experimental.do_not_convert
    def load(example: dict[str, Any]) -> tf.Tensor:
        image = source.decode(example["record"], short_side=DECODED_PER_SIZE * image_size)
        return centre(to_channels(image, channels), image_size)

    dataset = source.examples().shard(every, 0).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def pixel_statistics(
    source: Source, *, image_size: int, channels: int, max_images: int = 2000
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over about ``max_images`` images, in pixel units.

    The images are taken evenly from the whole source, which may be sorted by class.

    A standard deviation below 1 is given as 1, so that it can be divided by.
    """
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    every = max(1, source.num_examples // max_images)
    images = evaluation_images(source, image_size=image_size, channels=channels, batch_size=100, every=every)
    with readable_data_errors():
        for batch in images.as_numpy_iterator():
            pixels = batch.reshape(-1, channels).astype(np.float64)
            count += len(pixels)
            total += pixels.sum(axis=0)
            squares += np.square(pixels).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 1.0))
    return tuple(mean.tolist()), tuple(deviation.tolist())


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.threading.max_intra_op_parallelism = 1  # images are shared out among the cores, not rows of one image
    # The sources do not read files that could be shared out among workers, so workers share out elements.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
