"""Nested folders of images as they lie on the disk, with or without labels.

    PATH/train/CLASS/…  and  PATH/test/CLASS/…  (or val/, validation/): the splits are given
    PATH/CLASS/…  or any other nesting:                                  a share is held out for evaluation

    PATH/labels.csv  beside any of these:                              several labels an image, see `label_csv`

Other folders beside the two of given splits are not read, and the scan's report says so.

Class names are the first level of folders below the splits, if there are at least two and every image
lies in one; otherwise the images have no labels. Classes have the same numbers in both splits.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.data.sources.base import DataError, MultiLabels, Source, epoch_order, mark
from bssl_tf.data.sources.folder_scan import ScanReport, printable, scan_folder
from bssl_tf.data.sources.image_files import UnreadableImage, read_image, read_intact_jpeg
from bssl_tf.data.sources.jpeg import decode_jpeg
from bssl_tf.data.sources.label_csv import LABEL_FILE, multi_labels

_TEST_NAMES = ("test", "val", "validation")


def load(
    root: Path,
    split: str,
    *,
    holdout: float,
    max_images: int = 0,
    cache_dir: Path | None = None,
    progress: bool = True,
) -> "FolderSource":
    """The images of one split of a folder.

    Args:
        root: the folder.
        split: "train" or "test".
        holdout: share of the images that is the test split of a folder without splits of its own. Which
            ones depends on their relative paths alone, so files that are added move no other.
        max_images: only the first so many, of an order in which the classes are mixed; 0: all.
        cache_dir: where the verdicts on files are kept between runs; None: nowhere.
        progress: show a progress bar while files are checked.

    Raises:
        DataError: no such folder, or no readable image for this split in it.
    """
    root = Path(root)
    split_roots = _split_roots(root)
    reports = {name: scan_folder(path, cache_dir, progress) for name, path in split_roots.items()}
    if split_roots:
        reports["train"] = dataclasses.replace(reports["train"], unread=_beside(root, split_roots))
    report = reports[split] if split_roots else scan_folder(root, cache_dir, progress)
    if not report.images:
        raise DataError(f"No file in {report.root} is an image that can be read.\n{report.text()}")
    paths = sorted(report.images, key=order_of)
    if not split_roots:
        paths = [path for path in paths if (_share_of(path) < holdout) == (split == "test")]
        if not paths:
            raise DataError(
                f"--holdout={holdout:g} leaves none of the {len(report.images)} images in {root} for the "
                f"{split} split. Choose another --holdout, add images, or sort them into {root}/train and "
                f"{root}/test."
            )
    paths, scanned = paths[: max_images or None], list(reports.values()) or [report]
    if (root / LABEL_FILE).is_file():
        source = FolderSource(report, paths)
        source.multi_labels = _multi_labels(root, report, paths, scanned)
        return source
    return FolderSource(report, paths, _class_names([path for each in scanned for path in each.images]))


def _multi_labels(root: Path, report: ScanReport, paths: list[str], scanned: list[ScanReport]) -> MultiLabels:
    def named(each: ScanReport, files: Iterable[str]) -> list[str]:
        """As labels.csv names them: relative to its own folder."""
        return [(each.root / file).relative_to(root).as_posix() for file in files]

    images = [name for each in scanned for name in named(each, each.images)]
    skipped = [name for each in scanned for name in named(each, (file for file, _ in each.skipped))]
    return multi_labels(root / LABEL_FILE, named(report, paths), images, skipped)


def scanned_folders(root: Path) -> list[Path]:
    """The folders whose files `load` looks at: those of given splits, or the whole folder."""
    return [*_split_roots(root).values()] or [root]


class FolderSource(Source):
    """Image files below one folder.

    Args:
        report: the scan of the folder.
        paths: relative paths of the images to use, in order.
        class_names: the folders that are classes, or None.

    Attributes:
        report: as given; names the files that were skipped.
        paths: as given.
    """

    report: ScanReport

    def __init__(self, report: ScanReport, paths: list[str], class_names: list[str] | None = None) -> None:
        self.report = report
        self.paths = paths
        self.name = f"folder:{printable(str(report.root))}"
        self.num_examples = len(paths)
        self._classes = class_names
        self.class_names = None if class_names is None else [printable(name) for name in class_names]
        infos = report.images.values()
        heights, widths = {info.height for info in infos}, {info.width for info in infos}
        is_static = len(heights) == len(widths) == 1
        self.image_shape = (
            heights.pop() if is_static else None,
            widths.pop() if is_static else None,
            max(info.channels for info in infos),
        )
        files = [os.fsencode(os.path.join(report.root, path)) for path in paths]
        with tf.device("CPU:0"):
            self._files = tf.constant(files)
            self._are_plain = tf.constant([report.images[path].is_plain_jpeg for path in paths])
            self._ids = tf.constant([_hash(path, b"id") for path in paths], tf.int64)

    @property
    def labels(self) -> np.ndarray | None:
        if self._classes is None:
            return None
        index = {name: number for number, name in enumerate(self._classes)}
        return np.array([index[path.split("/")[0]] for path in self.paths], np.int64)

    @property
    def ids(self) -> np.ndarray:
        return self._ids.numpy()

    @property
    def fingerprint(self) -> str:
        """Of names, sizes and times of change, not of the content, which would take long to read."""
        digest = hashlib.blake2b(digest_size=16)
        for path in self.paths:
            status = os.stat(os.path.join(self.report.root, path))
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def examples(self, epoch: int | tf.Tensor | None = None, seed: int = 0) -> tf.data.Dataset:
        order = epoch_order(self.num_examples, epoch, seed)
        record = dict(file=tf.gather(self._files, order), is_plain_jpeg=tf.gather(self._are_plain, order))
        return tf.data.Dataset.from_tensor_slices(dict(id=tf.gather(self._ids, order), record=record))

    def decode(self, record: Any, short_side: int | None = None) -> tf.Tensor:
        """Plain JPEG files are decoded by TensorFlow; all others, and those found broken, by Pillow."""
        height, width, channels = self.image_shape
        file = record["file"]
        jpeg = tf.numpy_function(_plain_jpeg, [file, record["is_plain_jpeg"]], tf.string)
        image = tf.cond(
            tf.strings.length(jpeg) > 0,
            lambda: decode_jpeg(jpeg, channels, short_side),
            lambda: tf.numpy_function(lambda path: _read(path, channels, short_side), [file], tf.uint8),
        )
        is_whole = short_side is None or height is None or width is None or min(height, width) <= short_side
        return tf.ensure_shape(image, (height, width, channels) if is_whole else (None, None, channels))


def _plain_jpeg(path: bytes | np.ndarray, is_plain: bool) -> bytes:
    return read_intact_jpeg(_as_bytes(path)) if is_plain else b""


def _as_bytes(path: bytes | np.ndarray) -> bytes:
    """A file name as tf.numpy_function gives it: an array outside of a graph."""
    return path.item() if isinstance(path, np.ndarray) else path


def _read(path: bytes | np.ndarray, channels: int, short_side: int | None) -> np.ndarray:
    path = _as_bytes(path)
    try:
        return read_image(path, channels, short_side)
    except UnreadableImage as reason:
        raise DataError(
            mark(
                f"The image {printable(os.fsdecode(path))} could be read when the folder was checked, but "
                f"cannot be any more ({reason}). Restore it or take it away, then start again."
            )
        ) from None


def _split_roots(root: Path) -> dict[str, Path]:
    tests = [root / name for name in _TEST_NAMES if (root / name).is_dir()]
    if not tests or not (root / "train").is_dir():
        return {}
    return dict(train=root / "train", test=tests[0])


def _beside(root: Path, split_roots: dict[str, Path]) -> tuple[str, ...]:
    """Folders that belong to neither split: val/ where there is test/, for instance."""
    names = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return tuple(sorted(names - {path.name for path in split_roots.values()}))


def _class_names(paths: list[str]) -> list[str] | None:
    first_levels = {path.split("/")[0] for path in paths if "/" in path}
    all_in_folders = all("/" in path for path in paths)
    return sorted(first_levels) if all_in_folders and len(first_levels) > 1 else None


def _hash(path: str, purpose: bytes) -> int:
    """63 bits that depend on the relative path alone."""
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8, person=purpose).digest()
    return int.from_bytes(digest, "big") >> 1


def order_of(path: str) -> int:
    """A number that mixes the images of a folder: the first so many in its order are a fair sample of them."""
    return _hash(path, b"order")


def _share_of(path: str) -> float:
    return _hash(path, b"holdout") / 2**63
