"""Keeps a small data set's images decoded in memory, so that no epoch but the first decodes anything."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.data.pipeline import DECODED_PER_SIZE
from bssl_tf.data.sources.base import Source, readable_data_errors

_SAMPLE = 64  # images from which the size of all is estimated
_MB = 2**20


def keep_decoded(source: Source, *, image_size: int, limit_mb: int, log: Callable[[str], None]) -> Source:
    """The source itself, or the same images decoded, if they fit.

    Views of both are the same to the bit.

    Args:
        source: where the images come from; one that lies in memory already is given back.
        image_size: as for `training_views`.
        limit_mb: most memory to take, in MiB; 0: none.
        log: gets a line on what was decided.

    Raises:
        DataError: an image cannot be read any more.
    """
    if source.decodes_batches or limit_mb == 0:
        return source
    short_side = DECODED_PER_SIZE * image_size

    @tf.autograph.experimental.do_not_convert
    def decode(example: dict[str, Any]) -> tf.Tensor:
        return example["id"], source.decode(example["record"], short_side)

    with readable_data_errors():
        images = source.examples().map(decode, tf.data.AUTOTUNE)
        sample = [image.nbytes for _, image in images.take(_SAMPLE).as_numpy_iterator()]
        needed = np.mean(sample) * source.num_examples / _MB
        if needed > limit_mb:
            log(f"decoded, the images take about {needed:.0f} MiB: not kept in memory (--decoded_cache_mb={limit_mb})")
            return source
        log(f"decoded, the images take about {needed:.0f} MiB: kept in memory (--decoded_cache_mb={limit_mb})")
        ids, decoded, taken = [], [], 0
        for image_id, image in images.as_numpy_iterator():
            ids.append(image_id)
            decoded.append(image)
            taken += image.nbytes
            if taken > limit_mb * _MB:
                log("the images are larger than the first ones let expect: not kept in memory")
                return source
    return DecodedSource(source, short_side, ids, decoded)


class DecodedSource(Source):
    """The images of another source, in its orders and with its ids, decoded once for all.

    Args:
        source: the other source.
        short_side: what they were decoded with.
        ids: id of each image, in any order.
        images: uint8 of shape (height, width, channels), in the same order.
    """

    def __init__(self, source: Source, short_side: int, ids: list[int], images: list[np.ndarray]):
        self._source = source
        self._short_side = short_side
        self.name, self.num_examples, self.report = source.name, source.num_examples, source.report
        self.class_names, self.image_shape = source.class_names, source.image_shape
        self.multi_labels = source.multi_labels
        is_static = self.image_shape[0] is not None and images[0].shape[:2] == self.image_shape[:2]
        self._static_shape = self.image_shape if is_static else (None, None, self.image_shape[-1])
        with tf.device("CPU:0"):
            self._shapes = tf.constant([image.shape for image in images], tf.int32)
            self._ends = tf.constant(np.cumsum([image.size for image in images]), tf.int64)
            self._pixels = tf.constant(np.concatenate([image.ravel() for image in images]))
            numbers = tf.range(len(ids), dtype=tf.int64)
            index = tf.lookup.KeyValueTensorInitializer(tf.constant(ids, tf.int64), numbers)
            self._index = tf.lookup.StaticHashTable(index, default_value=-1)

    @property
    def labels(self) -> np.ndarray | None:
        return self._source.labels

    @property
    def ids(self) -> np.ndarray:
        return self._source.ids

    @property
    def fingerprint(self) -> str:
        return self._source.fingerprint

    def examples(self, epoch: int | tf.Tensor | None = None, seed: int = 0) -> tf.data.Dataset:
        @tf.autograph.experimental.do_not_convert
        def with_index(example: dict[str, Any]) -> dict[str, Any]:
            return dict(id=example["id"], record=self._index.lookup(example["id"]))

        return self._source.examples(epoch, seed).map(with_index)

    def decode(self, record: Any, short_side: int | None = None) -> tf.Tensor:
        if short_side != self._short_side:
            raise ValueError(f"The images were decoded with short_side={self._short_side}, not {short_side}.")
        shape, end = self._shapes[record], self._ends[record]
        pixels = self._pixels[end - tf.cast(tf.reduce_prod(shape), tf.int64) : end]
        return tf.ensure_shape(tf.reshape(pixels, shape), self._static_shape)
