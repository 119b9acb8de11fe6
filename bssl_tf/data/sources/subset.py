"""Some images of a source, as a source."""

import hashlib
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.data.sources.base import Source, epoch_order


class SubsetSource(Source):
    """The images at some places of another source; all records are kept in memory, not decoded.

    Args:
        source: the other source.
        places: which of its images, ascending, in its fixed order.
    """

    def __init__(self, source: Source, places: np.ndarray) -> None:
        self._source, self._places = source, np.asarray(places)
        self.name, self.num_examples = source.name, len(self._places)
        self.class_names, self.image_shape = source.class_names, source.image_shape
        self.decodes_batches, self.report = source.decodes_batches, source.report
        chosen = np.zeros(source.num_examples, bool)
        chosen[self._places] = True
        examples = list(
            tf.data.Dataset.zip((source.examples(), tf.data.Dataset.from_tensor_slices(chosen)))
            .filter(lambda example, is_wanted: is_wanted)
            .map(lambda example, _: example)
            .as_numpy_iterator()
        )
        with tf.device("CPU:0"):
            self._ids = tf.constant([example["id"] for example in examples], tf.int64)
            records = (example["record"] for example in examples)
            self._records = tf.nest.map_structure(lambda *values: tf.constant(values), *records)

    @property
    def labels(self) -> np.ndarray | None:
        return None if self._source.labels is None else self._source.labels[self._places]

    @property
    def ids(self) -> np.ndarray:
        return self._ids.numpy()

    @property
    def fingerprint(self) -> str:
        places = hashlib.blake2b(self._places.astype(np.int64).tobytes(), digest_size=16)
        return f"{self._source.fingerprint} {places.hexdigest()}"

    def examples(self, epoch: int | tf.Tensor | None = None, seed: int = 0) -> tf.data.Dataset:
        order = epoch_order(self.num_examples, epoch, seed)

        @tf.autograph.experimental.do_not_convert
        def example(place: tf.Tensor) -> dict[str, Any]:
            return dict(id=self._ids[place], record=tf.nest.map_structure(lambda values: values[place], self._records))

        return tf.data.Dataset.from_tensor_slices(order).map(example)

    def decode(self, record: Any, short_side: int | None = None) -> tf.Tensor:
        return self._source.decode(record, short_side)
