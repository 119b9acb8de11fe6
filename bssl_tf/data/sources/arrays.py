"""A data set that lies in memory as one array."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.data.sources.base import Source, epoch_order


class ArraySource(Source):
    """Images in memory; `decode` also takes a batch of records.

    Args:
        name: short name.
        images: uint8 of shape (n, height, width, channels).
        labels: int of shape (n,), or None.
        class_names: names of the classes, or None.
    """

    decodes_batches = True

    def __init__(
        self,
        name: str,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                f"images must be uint8 of shape (n, height, width, channels), not {images.dtype} {images.shape}."
            )
        self.name = name
        self.num_examples = len(images)
        _, height, width, channels = images.shape
        self.image_shape = (height, width, channels)
        self.class_names = None if class_names is None else list(class_names)
        self._labels = None if labels is None else np.asarray(labels, np.int64)
        with tf.device("CPU:0"):
            self._images = tf.constant(images)

    @property
    def labels(self) -> np.ndarray | None:
        return self._labels

    @property
    def ids(self) -> np.ndarray:
        return np.arange(self.num_examples)

    @property
    def fingerprint(self) -> str:
        images = self._images.numpy()
        return f"{images.shape} {hashlib.blake2b(images, digest_size=16).hexdigest()}"

    def examples(self, epoch: int | tf.Tensor | None = None, seed: int = 0) -> tf.data.Dataset:
        order = epoch_order(self.num_examples, epoch, seed)
        return tf.data.Dataset.from_tensor_slices(dict(id=order, record=order))

    def decode(self, record: Any, short_side: int | None = None) -> tf.Tensor:
        return tf.gather(self._images, record)
