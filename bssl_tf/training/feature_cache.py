"""The teacher's features on disk, so that the frozen network runs once for each view and not at every epoch.

With ``--view_cycle=K`` the views of epoch e are those of epoch e mod K, in both stages. The teacher is frozen, so its
features repeat too. They are computed before a stage begins, and read from then on:

    WORKDIR_OF_THE_TEACHER/features/KEY/
        about.json          what the key is made of
        cycle-0000.npy      (n, 2, width) float16: views of epoch 0, K, 2·K, …
        cycle-0001.partial  being written; its .rows file holds how many rows are done

The key is a hash of all that shapes a feature: teacher, images, views, seed, precision. Runs that share it share the
features: both stages, and every row of an ablation with the same teacher. A cycle does not depend on K, so a
larger K adds to what is there. g_θ keeps training on top.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bssl_tf.errors import ConfigError, DiskFull, Interrupted, UserError
from bssl_tf.files import read_json, reserve, room_for, size_text, sweep, write_json, write_text

ABOUT = "about.json"
VIEWS = 2
_BYTES = np.dtype(np.float16).itemsize
_ROWS_BETWEEN_MARKS = 4096


ViewsFrom = Callable[[int, int], Iterable[tuple[np.ndarray, ...]]]


@dataclass(frozen=True)
class FeatureCache:
    """Features of `cycles` epochs of views.

    Attributes:
        folder: where they lie; made from the key by `folder_of`.
        images: number of images, n.
        width: of the teacher's features.
        cycles: K.
    """

    folder: Path
    images: int
    width: int
    cycles: int

    @property
    def missing(self) -> list[int]:
        """Cycles that are not on disk, or not whole.

        Raises:
            UserError: a file is damaged, or has another shape than it should.
        """
        for cycle in range(self.cycles):
            path = self._path(cycle)
            if path.exists() and not self._fits(path):
                raise UserError(f"{path} is not what its name says: delete {self.folder}, it will be made again.")
        return [cycle for cycle in range(self.cycles) if not self._path(cycle).exists()]

    @property
    def total_bytes(self) -> int:
        return self.cycles * self.images * VIEWS * self.width * _BYTES

    @property
    def missing_bytes(self) -> int:
        """What has yet to find room on the disk: a cycle that was begun has its blocks already."""
        each = self.total_bytes // self.cycles
        begun = [path for cycle in self.missing if (path := self._partial(cycle)).exists()]
        return len(self.missing) * each - sum(min(512 * path.stat().st_blocks, each) for path in begun)

    def fill(
        self,
        features: Callable[[np.ndarray], np.ndarray],
        views_from: ViewsFrom,
        console: Console,
    ) -> None:
        """Compute what is missing; goes on where an earlier call was interrupted.

        Args:
            features: (batch, size, size, channels) pixels → (batch, width) float32.
            views_from: cycle, first image → batches of ``(view_1, view_2)`` in the source's fixed order.
            console: for the progress bar, or a line a cycle where there is no terminal.

        Raises:
            Interrupted: by Ctrl-C; what was computed is kept.
            UserError: a feature does not fit into float16.
            DiskFull: there is no room for a cycle; those before it are kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder, console):
            sweep(self.folder, [self._rows(cycle).name for cycle in range(self.cycles)])
            missing = self.missing
            with _progress(console) as progress:
                for number, cycle in enumerate(missing):
                    title = f"teacher's features, views {number + 1}/{len(missing)}"
                    task = progress.add_task(title, total=self.images)
                    try:
                        self._fill_cycle(cycle, features, views_from, functools.partial(_show, progress, task))
                    except KeyboardInterrupt:
                        raise Interrupted(f"stopped at {title}; the same command goes on from there") from None
                    if not console.is_terminal:
                        console.print(f"{title}: done")

    def _fill_cycle(
        self,
        cycle: int,
        features: Callable[[np.ndarray], np.ndarray],
        views_from: ViewsFrom,
        advance: Callable[[int], None],
    ) -> None:
        partial, mark = self._partial(cycle), self._rows(cycle)
        row = int(mark.read_text(encoding="utf-8")) if mark.exists() and partial.exists() else 0
        if row == 0:
            mark.unlink(missing_ok=True)
        rows = self._opened(partial, begun=row > 0)
        marked = row
        try:
            for views in views_from(cycle, row):
                batch = _as_float16(np.stack([features(view) for view in views], axis=1))
                rows[row : row + len(batch)] = batch
                row += len(batch)
                advance(row)
                if row - marked >= _ROWS_BETWEEN_MARKS:
                    rows.flush()
                    write_text(mark, str(row))
                    marked = row
        except KeyboardInterrupt:
            rows.flush()
            write_text(mark, str(row))
            raise
        if row != self.images:
            raise UserError(f"{row} images were read, but there should be {self.images}: did the data set change?")
        rows.flush()
        os.replace(partial, self._path(cycle))
        mark.unlink(missing_ok=True)

    def _opened(self, partial: Path, begun: bool) -> np.memmap:
        """The file as an array in memory, with all its blocks on the disk."""
        shape = (self.images, VIEWS, self.width)
        mode = dict(mode="r+") if begun else dict(mode="w+", dtype=np.float16, shape=shape)
        try:
            with room_for(partial, self.total_bytes // self.cycles):
                rows = np.lib.format.open_memmap(partial, **mode)
            reserve(partial)
        except DiskFull:
            if not begun:
                partial.unlink(missing_ok=True)
            raise
        return rows

    def lookup(self, ids: np.ndarray) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """A function for `Dataset.map`: epoch and ids (batch,) of images → (batch, 2, width) float16.

        Args:
            ids: (n,) the ids of all images in the source's fixed order.
        """
        cycles = [np.load(self._path(cycle), mmap_mode="r") for cycle in range(self.cycles)]
        order = np.argsort(ids)
        sorted_ids = ids[order]

        def read(epoch: Any, ids_of_batch: Any) -> np.ndarray:
            return cycles[epoch % self.cycles][order[np.searchsorted(sorted_ids, ids_of_batch)]]

        def read_batch(epoch: Any, ids_of_batch: Any) -> tf.Tensor:
            features = tf.numpy_function(read, [epoch, ids_of_batch], tf.float16, stateful=False)
            return tf.ensure_shape(features, (*ids_of_batch.shape, VIEWS, self.width))

        return read_batch

    def _path(self, cycle: int) -> Path:
        return self.folder / f"cycle-{cycle:04}.npy"

    def _rows(self, cycle: int) -> Path:
        return self._path(cycle).with_suffix(".rows")

    def _partial(self, cycle: int) -> Path:
        return self._path(cycle).with_suffix(".partial")

    def _fits(self, path: Path) -> bool:
        try:
            rows = np.lib.format.open_memmap(path, mode="r")
        except ValueError:  # no array, or the file is shorter than its header says
            return False
        return rows.shape == (self.images, VIEWS, self.width)


def folder_of(parent: Path, about: dict[str, Any]) -> Path:
    """The folder of one key below `parent`; it need not exist.

    Args:
        parent: folder of all keys.
        about: everything that shapes a feature, as JSON takes it.
    """
    text = json.dumps(about, sort_keys=True)
    return Path(parent) / hashlib.sha256(text.encode()).hexdigest()[:16]


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Note in a folder what its key is made of.

    Raises:
        UserError: the note in it is of something else.
    """
    note = folder / ABOUT
    if not note.exists():
        write_json(note, about)
    elif read_json(note, dict, f"delete {folder}, it will be made again") != json.loads(json.dumps(about)):
        raise UserError(f"{note} is not what its folder's name says: delete {folder}, it will be made again.")


def _as_float16(features: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rounded = features.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise UserError(
            "Features of the teacher are beyond float16's range (65504) or not finite, so they cannot be cached: "
            "train with --nofeature_cache."
        )
    return rounded


def check_space(folder: Path, needed: int, cycles: int) -> None:
    """Refuse before anything is written what would fill the disk.

    Raises:
        ConfigError: names the space needed, the space there is, and the flags.
    """
    free = shutil.disk_usage(folder).free
    if needed > 0.95 * free:
        raise ConfigError(
            f"--view_cycle={cycles} needs {size_text(needed)} for the teacher's features in {folder}, where "
            f"{size_text(free)} are free: lower --view_cycle, name another disk with --feature_cache_dir, or compute "
            "the features at every step with --nofeature_cache."
        )


def others_text(folder: Path) -> str | None:
    """What is said of the features of other settings beside `folder`, if there are any."""
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    if not others:
        return None
    size = sum(file.stat().st_size for path in others for file in path.glob("cycle-*.npy"))
    return (
        f"{folder.parent} also holds {size_text(size)} of features for other settings (about.json in each folder says "
        "for which): delete what you no longer need"
    )


@contextlib.contextmanager
def _alone(folder: Path, console: Console) -> Iterator[None]:
    """Of two runs that need the same features the second waits for the first."""
    with open(folder / "lock", "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"waiting for another run that computes the same features in {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)


def _show(progress: Progress, task: TaskID, row: int) -> None:
    progress.update(task, completed=row)
