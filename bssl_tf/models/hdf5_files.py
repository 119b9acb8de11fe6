"""Looks through an HDF5 file before anybody reads arrays from it, or builds the network that it should belong to."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import tensorflow as tf

MOST_OBJECTS = 200_000
_LARGEST_RATIO = 16  # Keras does not compress; with compression honest weights stay far below it
_SMALL = 1 << 20


class RefusedFile(ValueError):
    """The file is damaged, or holds what no file of weights needs; the message says what."""


def bytes_of_arrays(file: h5py.File, file_bytes: int) -> int:
    """Size of all arrays in a file, once read.

    Args:
        file: opened for reading.
        file_bytes: its size on disk.

    Raises:
        RefusedFile: links into other files, arrays that lie elsewhere or hold no numbers, or that unpack to far
            more than the file's size.
    """
    total, seen, groups = 0, set(), [file]
    while groups:
        group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedFile(f"its entry {name[:100]!r} is a link to another place or file")
            entry = group[name]
            address = h5py.h5o.get_info(entry.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                raise RefusedFile(f"it holds more than {MOST_OBJECTS} entries")
            if isinstance(entry, h5py.Group):
                groups.append(entry)
            elif isinstance(entry, h5py.Dataset):
                total += _bytes_of(entry, name)
                if total > _LARGEST_RATIO * file_bytes + _SMALL:
                    raise RefusedFile(f"its arrays unpack to more than {_LARGEST_RATIO} times the size of the file")
    return total


def _bytes_of(array: h5py.Dataset, name: str) -> int:
    if array.external or array.is_virtual:
        raise RefusedFile(f"the values of its array {name[:100]!r} lie in another file")
    if array.shape is None:
        return 0
    if array.dtype.kind not in "biufS":
        raise RefusedFile(f"its array {name[:100]!r} holds {array.dtype}, not numbers")
    return array.size * array.dtype.itemsize


@contextlib.contextmanager
def memory_for_weights(file_bytes: int) -> Iterator[None]:
    """Layers built within it may have four times as many bytes of variables as the file has (some networks are built
    twice), found out before they are made.

    Args:
        file_bytes: of `bytes_of_arrays`.

    Raises:
        RefusedFile: they have more.
    """
    total = 0

    def create(next_creator: Callable[..., tf.Variable], **options: Any) -> tf.Variable:
        nonlocal total
        shape = tf.TensorShape(options.get("shape"))
        if shape.is_fully_defined():
            total += shape.num_elements() * tf.as_dtype(options.get("dtype") or tf.float32).size
            if total > 4 * file_bytes + _SMALL:
                raise RefusedFile("its layers have far more weights than the file holds")
        return next_creator(**options)

    with tf.variable_creator_scope(create):
        yield
