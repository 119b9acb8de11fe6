"""Checkpoints as one flat table, from the name of a tensor to its values. Nothing that a file holds is executed."""

import argparse
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.errors import UserError
from bssl_tf.npz_files import ArraysError, read_npz

PYTORCH_SUFFIXES = (".pth", ".pt", ".pth.tar", ".ckpt", ".bin")
SUFFIXES = (*PYTORCH_SUFFIXES, ".safetensors", ".npz")
_MOST_ENTRIES, _DEEPEST = 1_000_000, 16
_LARGEST_RATIO, _SMALL = 16, 1 << 20


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a checkpoint, by their names; nested dictionaries become "outer.inner".

    Values that are no tensors (epochs, settings, …) are left out.

    Args:
        path: a file that ends in one of `SUFFIXES`. Only `PYTORCH_SUFFIXES` need PyTorch.

    Raises:
        UserError: another kind of file, a damaged one, one that would run code, or a package is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"--source={path} is no file: name the checkpoint.")
    if path.name.endswith(".safetensors"):
        content = _read_safetensors(path)
    elif path.name.endswith(".npz"):
        content = _read_npz(path)
    elif path.name.endswith(PYTORCH_SUFFIXES):
        content = _read_pytorch(path)
    else:
        raise UserError(f"--source={path}: its name must end in {', '.join(SUFFIXES)}.")
    try:
        tensors = dict(_flatten(content, _LARGEST_RATIO * path.stat().st_size + _SMALL))
    except _Refused as error:
        raise UserError(f"--source={path} is refused: {error}.") from None
    if not tensors:
        raise UserError(f"--source={path} holds no tensors.")
    return tensors


class _Refused(ValueError):
    """The content is not what training saves; the message says why."""


def _flatten(content: Any, most_bytes: int) -> Iterator[tuple[str, np.ndarray]]:
    """Names and tensors within nested dictionaries, in their order; together they have `most_bytes` at most."""
    waiting, visited, total = [("", content, 0)], 0, 0
    while waiting:
        name, value, depth = waiting.pop()
        visited += 1
        if visited > _MOST_ENTRIES:
            raise _Refused(f"it holds more than {_MOST_ENTRIES:,} entries")
        if isinstance(value, Mapping):
            if depth == _DEEPEST:
                raise _Refused(f"its dictionaries are nested more than {_DEEPEST} deep")
            inner = [(f"{name}.{key}" if name else str(key), entry, depth + 1) for key, entry in value.items()]
            waiting += reversed(inner)
        elif isinstance(value, np.ndarray):
            yield name, value
        elif hasattr(value, "detach"):
            total += _bytes_of(value, name)
            if total > most_bytes:
                raise _Refused(f"its tensors unpack to more than {_LARGEST_RATIO} times the size of the file")
            tensor = value.detach().cpu()  # of PyTorch, which numpy cannot take where it is of 16 bits
            yield name, (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _bytes_of(tensor: Any, name: str) -> int:
    """Of a tensor of PyTorch whose values all lie in the file."""
    size = tensor.numel() * tensor.element_size()
    try:
        stored = tensor.untyped_storage().nbytes()
    except (NotImplementedError, RuntimeError):  # sparse ones and the like
        stored = -1
    if not 0 <= size <= stored or tensor.device.type == "meta":
        raise _Refused(
            f"its tensor {name[:100]} is larger than its values in the file, or of a kind without plain ones"
        )
    return size


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_npz(path)
    except (ArraysError, OSError) as error:
        raise UserError(f"--source={path} cannot be read as arrays alone: {error}") from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise UserError(f"--source={path} needs the package safetensors: pip install safetensors") from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise UserError(f"--source={path} cannot be read as safetensors: {error}") from error


def _read_pytorch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f'--source={path} needs PyTorch to be read: pip install torch, or bssl_tf\'s extra "import". A '
            ".safetensors or .npz file does without."
        ) from error
    try:
        # DINO's checkpoints keep the parsed command line, an object without code of its own.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if not wanted:
            raise UserError(f"--source={path} is damaged, or no checkpoint of PyTorch.") from error
        raise UserError(
            f"--source={path} is refused: to read it, Python would have to run {wanted[1]}, which the file names. "
            "Where you trust the file, save its tensors alone: torch.save({'state_dict': torch.load(FILE, "
            "weights_only=False)['state_dict']}, 'tensors.pth')."
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"--source={path} is damaged, or no checkpoint of PyTorch: {error}") from error
