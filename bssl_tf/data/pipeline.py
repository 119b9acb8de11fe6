"""From a `Source` to batches: random views for training, plain images for evaluation.

    for ((v1, v2),) in training_views(source, image_size=28, channels=1, views=ViewSettings(),
                                      seed=0, batch_size=256, epochs=100):
        ...

The batch of step s is a pure function of (seed, s): a run resumed at ``start_step`` sees what the
uninterrupted run would have seen.
"""

import numpy as np
import tensorflow as tf

from bssl_tf.config import ViewSettings
from bssl_tf.data.randomness import VIEWS, epoch_key, image_key
from bssl_tf.data.source import DataError, Source, readable_data_errors
from bssl_tf.data.views import (
    are_small,
    draw_views,
    finish_batch,
    finish_views,
    random_crops,
    random_crops_of_batch,
)

_EVALUATION_MARGIN = 256 / 224
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
    finish: bool = True,
) -> tf.data.Dataset:
    """Batches of random views, from step ``start_step`` to the end of the last epoch.

    Args:
        source: where the images come from.
        image_size: height and width of the views.
        channels: 1 or 3; grey images are repeated, RGB images turned grey, as needed.
        views: strengths and probabilities.
        seed: seed of the run.
        batch_size: images in a batch.
        epochs: passes over the source, counted from step 0.
        start_step: first step wanted; earlier images are passed over without being decoded.
        num_views: views of each image.
        finish: False: leave jitter, grey and blur to `finish_batch`, which may run on an accelerator.

    Returns:
        A data set of ``((v1, v2, …),)``, each view float32 of shape (batch_size, image_size, image_size,
        channels) in 0..255; the i-th rows of all views show the same image. Without ``finish`` of
        ``(crops, draws)``: uint8 of shape (batch_size, num_views, image_size, image_size, channels) and float32
        of shape (batch_size, num_views, len(DRAWS)), from which ``finish_batch(crops, draws, views)`` makes the
        same views.

    Raises:
        DataError: the source has fewer images than a batch.
        ValueError: ``start_step`` is outside the run.
    """
    steps = steps_per_epoch(source, batch_size)
    if not 0 <= start_step <= epochs * steps:
        raise ValueError(f"start_step must be in 0 … {epochs * steps} ({epochs} epochs), not {start_step}.")
    first_epoch, first_batch = divmod(start_step, steps)

    at_once = source.decodes_batches and are_small(source.image_shape, image_size)

    @tf.autograph.experimental.do_not_convert
    def examples_of_epoch(epoch):
        key = epoch_key(seed, epoch, VIEWS)
        skipped = tf.where(epoch == first_epoch, tf.constant(first_batch * batch_size, tf.int64), 0)
        examples = source.examples(epoch, seed).take(steps * batch_size).skip(skipped)
        if at_once:
            examples = examples.batch(batch_size, drop_remainder=True)
        return examples.map(lambda example: (example["record"], example["id"], key))

    @tf.autograph.experimental.do_not_convert
    def one_image(record, image_id, key):
        image = to_channels(source.decode(record, short_side=DECODED_PER_SIZE * image_size), channels)
        draws = draw_views(image_key(key, image_id), num_views)
        crops = random_crops(image, draws, image_size, views)
        if not finish:
            return crops, draws
        each = [slice(view, view + 1) for view in range(num_views)]
        return (tuple(finish_views(crops[view], draws[view], views)[0] for view in each),)

    @tf.autograph.experimental.do_not_convert
    def whole_batch(records, image_ids, key):
        images = to_channels(source.decode(records), channels)
        draw = lambda image_id: draw_views(image_key(key, image_id), num_views)  # noqa: E731
        draws = tf.map_fn(draw, image_ids, fn_output_signature=tf.float32)
        crops = random_crops_of_batch(images, draws, image_size, views)
        return (finish_batch(crops, draws, views),) if finish else (crops, draws)

    dataset = tf.data.Dataset.range(first_epoch, epochs).flat_map(examples_of_epoch)
    dataset = dataset.map(whole_batch if at_once else one_image, num_parallel_calls=tf.data.AUTOTUNE)
    if not at_once:
        dataset = dataset.batch(batch_size, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(epochs * steps - start_step))
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


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
    def load(example):
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
    images = evaluation_images(source, image_size=image_size, channels=channels, batch_size=1)
    with readable_data_errors():
        for batch in images.take(max_images).batch(100).as_numpy_iterator():
            pixels = batch.reshape(-1, channels).astype(np.float64)
            count += len(pixels)
            total += pixels.sum(axis=0)
            squares += np.square(pixels).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 1.0))
    return tuple(mean.tolist()), tuple(deviation.tolist())


def to_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """A uint8 image (height, width, 1 or 3) with as many channels as asked for."""
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return tf.image.grayscale_to_rgb(image)
    return tf.image.rgb_to_grayscale(image)


def centre(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """The uint8 image (height, width, C) as `evaluation_images` shows it: (image_size, image_size, C)."""
    if image.shape[:2] == (image_size, image_size):
        return image
    extent = tf.cast(tf.shape(image)[:2], tf.float32)
    short_side = tf.reduce_min(extent)
    target = tf.where(short_side > image_size, tf.round(image_size * _EVALUATION_MARGIN), float(image_size))
    scale = target / short_side
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=[image_size, image_size],
        scale=tf.fill([2], scale),
        translation=(image_size - extent * scale) / 2.0,
        kernel_type="keyscubic",
        antialias=True,
    )[0]
    resized = tf.saturate_cast(tf.round(resized), tf.uint8)
    is_exact = tf.reduce_all(tf.equal(tf.shape(image)[:2], image_size))
    exact = tf.cond(is_exact, lambda: image, lambda: resized)
    return tf.ensure_shape(exact, (image_size, image_size, image.shape[-1]))


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.threading.max_intra_op_parallelism = 1  # images are shared out among the cores, not rows of one image
    # The sources do not read files that could be shared out among workers, so workers share out elements.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
