"""A network's weights as a file: numbered HDF5 data sets in the order of `model.get_weights()`.

Keras's own format is slow for many layers, and would load a part of another network without a word.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import h5py
import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.files import write_bytes
from bssl_tf.models.hdf5_files import RefusedFile, bytes_of_arrays, memory_for_weights


def write_weights(model: tf.keras.Model, path: Path) -> None:
    """Write all weights of `model`, or leave `path` as it was."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for index, weight in enumerate(model.get_weights()):
            file.create_dataset(f"{index:05d}", data=weight)
    write_bytes(path, content.getvalue())


@contextlib.contextmanager
def memory_as_in(path: Path, described_in: str) -> Iterator[None]:
    """Build a network within it that `described_in` describes: it may not be far larger than its weights at `path`.

    Raises:
        UserError: it is, or the file of weights is damaged.
    """
    try:
        with h5py.File(path) as file:
            held = bytes_of_arrays(file, Path(path).stat().st_size)
    except (OSError, KeyError, RefusedFile) as error:
        raise UserError(f"{path} is damaged or not ours: {error}") from error
    try:
        with memory_for_weights(held):
            yield
    except RefusedFile:
        raise UserError(f"{path} does not fit: {described_in} describes a far larger network.") from None


def read_weights(model: tf.keras.Model, path: Path, described_in: str) -> None:
    """Put what `write_weights` wrote into `model`.

    Args:
        model: a network of the same shape.
        path: the file.
        described_in: name of the file that `model` was built from, for messages.

    Raises:
        UserError: the file is damaged, or holds the weights of another network.
    """
    try:
        with h5py.File(path) as file:
            bytes_of_arrays(file, Path(path).stat().st_size)
            weights = [file[key][()] for key in sorted(file)]
    except (OSError, KeyError, TypeError, AttributeError, RefusedFile) as error:
        raise UserError(f"{path} is damaged or not ours: {error}") from error
    received = [weight.shape for weight in weights]
    expected = [tuple(weight.shape) for weight in model.weights]
    if received != expected:
        differing = [pair for pair in zip(received, expected, strict=False) if pair[0] != pair[1]]
        first = f"; the first that differ are {differing[0][0]} and {differing[0][1]}" if differing else ""
        raise UserError(
            f"{path} does not fit the {model.name} that {described_in} describes: it holds {len(received)} "
            f"arrays, the network {len(expected)}{first}."
        )
    model.set_weights(weights)
