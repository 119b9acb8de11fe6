"""From annotated images to batches: augmented ones for training, plain ones for evaluation.

The batch of step s is a pure function of (seed, s), as in `data.pipeline`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.config.detection import BoxAugmentationSettings
from bssl_tf.data import steps_per_epoch
from bssl_tf.data.augmentation.randomness import VIEWS, epoch_key, image_key
from bssl_tf.data.framing import to_channels
from bssl_tf.data.pipeline import DECODED_PER_SIZE
from bssl_tf.detection.annotations import AnnotatedImages
from bssl_tf.detection.augmentation import WHOLE, boxes_in_window, draw, image_in_window, random_window

PADDING = -1
"""Class of a row that is no object."""


def training_batches(
    data: AnnotatedImages,
    *,
    image_size: int,
    channels: int,
    augmentation: BoxAugmentationSettings,
    seed: int,
    batch_size: int,
    epochs: int,
    start_step: int = 0,
    replicas: int = 1,
) -> tf.data.Dataset:
    """Batches from step ``start_step`` to the end of the last epoch.

    With several replicas each takes an equal part of every batch, an element of its own.

    Returns:
        A data set of ``((images,), boxes, classes)``: uint8 (batch, S, S, channels), float32 (batch, M, 4) in pixels of
        these images, and int64 (batch, M), `PADDING` where there are fewer than M objects; ``batch`` is the part of a
        replica.

    Raises:
        DataError: fewer images than a batch.
        ValueError: the batch cannot be shared out evenly.
    """
    if batch_size % replicas:
        raise ValueError(f"{replicas} devices cannot share batches of {batch_size}.")
    source, steps = data.source, steps_per_epoch(data.source, batch_size)
    first_epoch, first_batch = divmod(start_step, steps)
    objects_of, most = _learned_objects(data), max(1, data.annotations.most_objects)

    @tf.autograph.experimental.do_not_convert
    def images_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        skipped = tf.where(epoch == first_epoch, tf.constant(first_batch * batch_size, tf.int64), 0)
        examples = source.examples(epoch, seed).take(steps * batch_size).skip(skipped)
        key = epoch_key(seed, epoch, VIEWS)
        return examples.map(lambda example: (example["record"], example["id"], key))

    @tf.autograph.experimental.do_not_convert
    def augmented(record: Any, image_id: tf.Tensor, key: tf.Tensor) -> tuple:
        image = to_channels(source.decode(record, short_side=DECODED_PER_SIZE * image_size), channels)
        drawn = draw(image_key(key, image_id))
        boxes, classes = objects_of(image_id)
        window = random_window(drawn, boxes, augmentation)
        flip = (drawn["flip"] < 0.5) & augmentation.box_flip
        seen, kept = boxes_in_window(boxes, window, flip)
        boxes, classes = tf.boolean_mask(seen * image_size, kept), tf.boolean_mask(classes, kept)
        room = [[0, most - tf.shape(classes)[0]]]
        classes = tf.pad(classes, room, constant_values=PADDING)
        boxes = tf.pad(boxes, [*room, [0, 0]])
        return (
            (image_in_window(image, window, flip, image_size),),
            tf.ensure_shape(boxes, (most, 4)),
            tf.ensure_shape(classes, (most,)),
        )

    examples = tf.data.Dataset.range(first_epoch, epochs).flat_map(images_of_epoch)
    batches = examples.map(augmented, num_parallel_calls=tf.data.AUTOTUNE)
    batches = batches.batch(batch_size // replicas, drop_remainder=True)
    batches = batches.apply(tf.data.experimental.assert_cardinality((epochs * steps - start_step) * replicas))
    return batches.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    data: AnnotatedImages, *, image_size: int, channels: int, batch_size: int = 64, every: int = 1
) -> tf.data.Dataset:
    """All images in their fixed order (or each so-many-th), whole, stretched to S×S: uint8 (≤ batch, S, S, channels).

    Stretching keeps boxes in shares of height and width as they are.
    """
    source = data.source

    @tf.autograph.experimental.do_not_convert
    def whole(example: dict[str, Any]) -> tf.Tensor:
        image = to_channels(source.decode(example["record"], short_side=DECODED_PER_SIZE * image_size), channels)
        return image_in_window(image, tf.constant(WHOLE), tf.constant(False), image_size)

    images = source.examples().shard(every, 0).map(whole, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(batch_size).with_options(_options()).prefetch(tf.data.AUTOTUNE)


def _learned_objects(data: AnnotatedImages) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """What gives boxes (k, 4) in shares and classes (k,) of an image by its id; without the ignored ones."""
    annotations = data.annotations
    kept = ~annotations.ignored
    before = np.concatenate([[0], np.cumsum(kept)])
    starts = tf.constant(before[annotations.starts], tf.int64)
    boxes = tf.constant(annotations.boxes[kept])
    classes = tf.constant(annotations.classes[kept])
    places = tf.range(annotations.num_images, dtype=tf.int64)
    index = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(data.source.ids, tf.int64), places), default_value=-1
    )

    def objects_of(image_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        place = index.lookup(image_id)
        rows = slice(starts[place], starts[place + 1])
        return boxes[rows], classes[rows]

    return objects_of


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    options.threading.max_intra_op_parallelism = 1
    return options
