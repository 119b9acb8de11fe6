"""What a data set is to the rest of the package: a `Source` of images in a reproducible order.

A source hands out *records* (an index, a file name, encoded bytes), which are cheap to shuffle and to
skip, and decodes a record only on request. A new kind of data set is a subclass of `Source`.
"""

import abc
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from bssl_tf.data.augmentation.randomness import ORDER, epoch_key
from bssl_tf.errors import UserError

if TYPE_CHECKING:
    from bssl_tf.data.sources.folder_scan import ScanReport


class DataError(UserError):
    """The requested images cannot be had; the message says which, why, and what to do."""


@dataclass(frozen=True)
class MultiLabels:
    """Labels of images that may show several classes.

    Attributes:
        values: (n, C) int8: 1 where the image shows the class, 0 where not, -1 where it does not count ("difficult").
        class_names: C names.
    """

    values: np.ndarray
    class_names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Changes with the labels."""
        return hashlib.sha256(repr(self.class_names).encode() + self.values.tobytes()).hexdigest()[:16]


class Source(abc.ABC):
    """A data set's images in a fixed order, or in the order of an epoch.

    Attributes:
        name: short name for messages and tables.
        num_examples: number of images.
        class_names: names of the classes, or None without labels.
        image_shape: (height, width, channels) of decoded images; height and width are None where they vary.
        decodes_batches: whether `decode` also takes a batch of records, all of one size.
    """

    name: str
    num_examples: int
    class_names: list[str] | None
    image_shape: tuple[int | None, int | None, int]
    decodes_batches = False
    multi_labels: MultiLabels | None = None  # where an image may have several classes; then `labels` is None
    report: "ScanReport | None" = None  # a `ScanReport` where files had to be looked at one by one

    @property
    @abc.abstractmethod
    def labels(self) -> np.ndarray | None:
        """Class of every image, int64 of shape (num_examples,), in the fixed order; None without labels."""

    @property
    @abc.abstractmethod
    def ids(self) -> np.ndarray:
        """Ids of all images, int64 of shape (num_examples,), in the fixed order."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """A text that changes when the images, their ids or their order change."""

    @abc.abstractmethod
    def examples(self, epoch: int | tf.Tensor | None = None, seed: int = 0) -> tf.data.Dataset:
        """Every image once, not yet decoded.

        Args:
            epoch: None for the fixed order, or an int64 scalar (a tensor, too) for that epoch's order,
                which is a pure function of ``seed`` and ``epoch``.
            seed: seed of the run.

        Returns:
            A data set of ``dict(id=int64 scalar, record=…)``. The id belongs to the image whatever the order.
        """

    @abc.abstractmethod
    def decode(self, record: Any, short_side: int | None = None) -> tf.Tensor:
        """Decode one record; for use inside ``Dataset.map``.

        Args:
            record: as `examples` gave it.
            short_side: the source may shrink larger photos to this height or width, whichever is smaller.

        Returns:
            uint8 of shape (height, width, channels).
        """


def epoch_order(num_examples: int, epoch: int | tf.Tensor | None, seed: int) -> tf.Tensor:
    """Indices 0 … num_examples - 1, int64: in order for ``epoch=None``, else in that epoch's order."""
    indices = tf.range(num_examples, dtype=tf.int64)
    if epoch is None:
        return indices
    return tf.random.experimental.stateless_shuffle(indices, seed=epoch_key(seed, epoch, ORDER))


_END_OF_MESSAGE = "\x1e"  # the record separator, which is in no printable path
_MARKED = re.compile(f"<<data error: (.*?){_END_OF_MESSAGE}", re.DOTALL)


def mark(message: str) -> str:
    """Mark a message so that `readable_data_errors` finds it again in TensorFlow's report.

    Args:
        message: names of files in it are as `folder_scan.printable` makes them.
    """
    return f"<<data error: {message}{_END_OF_MESSAGE}"


@contextmanager
def readable_data_errors() -> Iterator[None]:
    """Turn TensorFlow's report on an image that could not be read into a plain `DataError`.

    Wrap it around any loop over a data set of this package:

        with readable_data_errors():
            for batch in evaluation_images(source, image_size=224, channels=3):
                ...
    """
    try:
        yield
    except tf.errors.OpError as error:
        marked = _MARKED.search(str(error))
        if marked is not None:
            raise DataError(marked.group(1)) from None
        if "JPEG" in str(error):
            raise DataError(
                "A JPEG image that could be read when the data were checked is damaged now; TensorFlow's decoder "
                "does not say which. Start again: what has changed is checked anew, and broken files are skipped."
            ) from None
        raise
