"""Prepares TFDS's own ``fashion_mnist`` from its four files on this machine, without a network.

    python -m bssl_tf.data.sources.prepare_fashion_mnist --source=FOLDER_WITH_IDX_GZ --data_dir=DIR

The files are the ones of https://github.com/zalandoresearch/fashion-mnist; Debian's package
dataset-fashion-mnist installs them. What comes out is what TFDS itself would prepare:
``tfds.load("fashion_mnist", data_dir=DIR)`` and ``--dataset=tfds:fashion_mnist --data_dir=DIR`` read it.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from tensorflow_datasets.image_classification import FashionMNIST

from bssl_tf.console import run_entry_point
from bssl_tf.data.sources.base import DataError

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_UNSIGNED_BYTE = 8


class LocalFashionMNIST(FashionMNIST, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """TFDS's builder, reading the four files from a folder instead of the network."""

    name = "fashion_mnist"

    def __init__(self, *, source: Path, data_dir: str) -> None:
        self._source = Path(source)
        super().__init__(data_dir=data_dir)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {
            split: self._generate_examples(self._source / images, self._source / labels)
            for split, (images, labels) in FILES.items()
        }

    def _generate_examples(self, image_file: Path, label_file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        images, labels = read_idx(image_file), read_idx(label_file)
        if len(images) != len(labels):
            raise DataError(
                f"{image_file} has {len(images)} images, but {label_file} has {len(labels)} labels. "
                "Get both files again."
            )
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, dict(image=image[..., np.newaxis], label=int(label))


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped IDX file.

    Raises:
        DataError: the file is broken or is not of that kind.
    """
    try:
        content = gzip.decompress(Path(path).read_bytes())
        kind, rank = content[2], content[3]
        shape = np.frombuffer(content, ">u4", count=rank, offset=4)
        if content[:2] != b"\0\0" or kind != _UNSIGNED_BYTE:
            raise ValueError("wrong first bytes")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, zlib.error) as error:
        raise DataError(f"{path} is not a gzipped IDX file of bytes ({error}). Get it again.") from None


def prepare(source: Path, data_dir: Path) -> tfds.core.DatasetBuilder:
    """Prepare the data set, unless it already is.

    Args:
        source: folder with the four ``.gz`` files.
        data_dir: where TFDS keeps prepared data sets.

    Raises:
        DataError: a file is missing or broken.
    """
    missing = [name for names in FILES.values() for name in names if not (Path(source) / name).is_file()]
    if missing:
        raise DataError(f"--source={source} lacks {', '.join(missing)}. Give the folder that holds all four files.")
    builder = LocalFashionMNIST(source=Path(source), data_dir=str(data_dir))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return builder


def main() -> None:
    """Entry point of ``python -m``."""
    builder = prepare(Path(_SOURCE.value), Path(_DATA_DIR.value).expanduser())
    sizes = ", ".join(f"{name}: {split.num_examples}" for name, split in builder.info.splits.items())
    print(f"{builder.data_path} is ready ({sizes}).")


if __name__ == "__main__":
    _SOURCE = flags.DEFINE_string("source", None, "Folder with the four gzipped IDX files.", required=True)
    _DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps prepared data sets.", required=True)
    run_entry_point(main, __doc__)
