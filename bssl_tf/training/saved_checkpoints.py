"""Checkpoints as files: which ones a folder holds, and whether they are whole.

Beside TensorFlow's ``ckpt-STEP.index`` and ``ckpt-STEP.data-…`` lies ``ckpt-STEP.sha256``, their checksums as sha256sum
prints them. A checkpoint without checksums (of a process that was killed just then, or of an earlier version) is whole
if TensorFlow can read every tensor in it.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from bssl_tf.console import print_warning
from bssl_tf.errors import DiskFull, UserError
from bssl_tf.files import is_disk_full, sha256, size_text, sweep, write_text

_FILE = re.compile(r"ckpt-(\d+)\.(index|sha256|data-.*)")


def steps_saved(folder: Path) -> list[int]:
    """Steps of the checkpoints that were finished in a folder, whole or not, the latest first."""
    state = tf.train.get_checkpoint_state(str(folder))
    listed = [] if state is None else [Path(path).name for path in state.all_model_checkpoint_paths]
    files = [path.name for path in folder.iterdir() if not _is_data(path)] if folder.is_dir() else []
    found = (_FILE.fullmatch(name) for name in [*files, *(f"{name}.index" for name in listed)])
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def write_sums(folder: Path, step: int) -> None:
    """Write the checksums of a checkpoint, and delete those of checkpoints that are gone."""
    write_text(_sums_of(folder, step), _sums(_files_of(folder, step)))
    for sums in folder.glob("ckpt-*.sha256"):
        if not sums.with_suffix(".index").exists():
            sums.unlink()


def is_whole(folder: Path, step: int) -> bool:
    """Whether a checkpoint is as it was written."""
    files, sums = _files_of(folder, step), _sums_of(folder, step)
    if not any(path.suffix == ".index" for path in files):
        return False
    if sums.exists():
        return sums.read_text(encoding="utf-8", errors="replace") == _sums(files)
    try:
        reader = tf.train.load_checkpoint(str(folder / f"ckpt-{step}"))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)  # TensorFlow compares a checksum
    except Exception:  # the reader does not say which there are, IndexError among them
        return False
    return True


def latest_whole(folder: Path, repair: bool) -> str | None:
    """Prefix of the latest checkpoint that is whole, with a warning about later ones that are not; None without any.

    Args:
        folder: of the checkpoints.
        repair: delete the damaged ones and write TensorFlow's list anew, so that saving goes on from the whole one.

    Raises:
        UserError: there are checkpoints, and none is whole.
    """
    steps = steps_saved(folder)
    whole = next((step for step in steps if is_whole(folder, step)), None)
    damaged = [step for step in steps if whole is None or step > whole]
    if steps and whole is None:
        raise UserError(
            f"No checkpoint in {folder} is whole: restore its files from a copy, or delete {folder.parent} to train "
            "that phase from its beginning. Check the disk."
        )
    if damaged and repair:
        names = ", ".join(f"ckpt-{step}" for step in damaged)
        print_warning(
            f"{names} in {folder} is damaged or missing: going on from the one before it, of step {whole}. What "
            "followed is trained again, with the same result. Check the disk if it happens again."
        )
        for step in damaged:
            _delete(folder, step)
    if whole is not None and repair:
        kept = [f"ckpt-{step}" for step in reversed(steps) if step not in damaged]
        lines = [f'model_checkpoint_path: "{kept[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in kept)]
        write_text(folder / "checkpoint", "\n".join(lines) + "\n")
    return None if whole is None else str(folder / f"ckpt-{whole}")


@contextmanager
def disk_full_named(folder: Path, needed: int, step: int) -> Iterator[None]:
    """Within the block the checkpoint of a step is saved, and nobody else writes in its folder.

    Raises:
        DiskFull: it does not fit; names folder, need and remedy. What was written of it is deleted: it would keep the
            disk full.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if not is_disk_full(error):
            raise
        sweep(folder, ())
        if not is_whole(folder, step):
            _delete(folder, step)
        before = next((saved for saved in steps_saved(folder) if is_whole(folder, saved)), None)
        goes_on = "begins this phase again, of which nothing was saved before"
        if before is not None:
            goes_on = f"goes on from step {before}, whose checkpoint is whole"
        raise DiskFull(
            f"the disk of {folder} is full: a checkpoint takes {size_text(needed)}, and "
            f"{size_text(shutil.disk_usage(folder).free)} are free. Free some space, and the same command {goes_on}."
        ) from None


def _delete(folder: Path, step: int) -> None:
    for path in [*_files_of(folder, step), _sums_of(folder, step)]:
        path.unlink(missing_ok=True)


def _files_of(folder: Path, step: int) -> list[Path]:
    return sorted(path for path in folder.glob(f"ckpt-{step}.*") if path.suffix != ".sha256")


def _sums_of(folder: Path, step: int) -> Path:
    return folder / f"ckpt-{step}.sha256"


def _sums(files: list[Path]) -> str:
    return "".join(f"{sha256(path)}  {path.name}\n" for path in files)


def _is_data(path: Path) -> bool:
    """Data without an index are of a save that was not finished."""
    return ".data-" in path.name
