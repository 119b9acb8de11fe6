"""A network's weights as a file: numbered HDF5 data sets in the order of `model.get_weights()`.

Keras's own format is slow for many layers, and would load a part of another network without a word.
"""

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
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
    with _opened(path) as (_, held):
        pass
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
    shapes = {f"{index:05d}": tuple(weight.shape) for index, weight in enumerate(model.weights)}
    arrays = read_arrays(path, shapes, f"the {model.name} that {described_in} describes")
    model.set_weights([arrays[name] for name in shapes])


def read_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]], owner: str) -> dict[str, np.ndarray]:
    """All arrays of a file of weights, whose shapes are compared before their values are read.

    Args:
        path: the file.
        shapes: name → shape of every array that it has to hold.
        owner: what has these weights, for messages.

    Returns:
        name → array, for every name of `shapes`.

    Raises:
        UserError: the file is damaged, or holds other arrays.
    """
    with _opened(path) as (file, _):
        found = {name: getattr(file[name], "shape", None) for name in sorted(file)}
        if found != dict(shapes):
            differing = [pair for pair in zip(found.items(), shapes.items(), strict=False) if pair[0] != pair[1]]
            first = "; the first that differ are {} {} and {} {}".format(*sum(differing[0], ())) if differing else ""
            raise UserError(
                f"{path} does not fit {owner}: it holds {len(found)} arrays, the network {len(shapes)}{first}."
            )
        if text := [name for name in shapes if file[name].dtype.kind not in "biuf"]:
            raise RefusedFile(f"its array {text[0]} holds text, not numbers")
        return {name: file[name][()] for name in shapes}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[h5py.File, int]]:
    """The file, looked through, and the size of its arrays, once read."""
    try:
        with h5py.File(path) as file:
            yield file, bytes_of_arrays(file, Path(path).stat().st_size)
    except UserError:
        raise
    except Exception as error:  # HDF5 raises whatever a damaged file trips over
        raise UserError(f"{path} is damaged or not ours: {error}") from error
