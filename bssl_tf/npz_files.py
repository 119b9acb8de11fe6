"""Reads .npz files that may come from anybody: arrays of numbers alone, and not far more than the file's size."""

import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

_LARGEST_RATIO = 16
_SMALL = 2**26
_NUMBERS = "biuf"  # NumPy's kinds: truth values, integers without and with sign, floats
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class ArraysError(ValueError):
    """Not an .npz file, a damaged one, or one that holds more than numbers; the message says which."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays by their names.

    Raises:
        ArraysError: the file cannot be used.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, Path(path).stat().st_size)
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    except OSError:
        raise
    except ArraysError:
        raise
    except Exception as error:  # zipfile and numpy raise whatever damage they trip over
        raise ArraysError(str(error) or type(error).__name__) from error


def _check(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if total > _LARGEST_RATIO * size + _SMALL:
        raise ArraysError(f"its arrays unpack to {total:,} bytes, over {_LARGEST_RATIO} times the size of the file")
    for entry in entries:
        with archive.open(entry) as stream:
            version = npy.read_magic(stream)
            if version not in _HEADERS:
                raise ArraysError(f"its array {entry.filename!r} is of version {version}")
            shape, _, kind = _HEADERS[version](stream)
        if kind.kind not in _NUMBERS or not kind.itemsize:
            raise ArraysError(f"its array {entry.filename!r} holds {kind}, not numbers")
        if math.prod(shape) * kind.itemsize > entry.file_size:
            raise ArraysError(f"its array {entry.filename!r} is cut short")
