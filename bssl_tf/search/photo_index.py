"""The features of all photos of a folder, kept in a file that names the network and the photos it is of."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bssl_tf.data import evaluation_images
from bssl_tf.data.sources.base import readable_data_errors
from bssl_tf.data.sources.folder import FolderSource
from bssl_tf.data.sources.folder_scan import ScanReport, scan_folder
from bssl_tf.data.sources.image_files import UnreadableImage, check_image
from bssl_tf.deploy import TfliteBackbone
from bssl_tf.deploy.codes import binary_codes
from bssl_tf.errors import UserError
from bssl_tf.files import fingerprint, write_bytes
from bssl_tf.npz_files import read_npz

_FORMAT = 1
_BATCH = 64


class StaleIndex(UserError):
    """An index is damaged, or no longer that of the network and the photos."""


@dataclass(frozen=True)
class Origin:
    """What an index was made of.

    Attributes:
        model: fingerprint of the .tflite file.
        photos: fingerprint of the names, sizes and times of all photos.
        root: the folder.
        format: of the index file.
    """

    model: str
    photos: str
    root: str
    format: int = _FORMAT


@dataclass(frozen=True)
class PhotoIndex:
    """Features and codes of photos.

    Attributes:
        origin: what it was made of.
        paths: n paths relative to the origin's root.
        features: (n, D) float32.
        centre: (D,) above which a feature's bit is 1: the mean over the photos.
    """

    origin: Origin
    paths: tuple[str, ...]
    features: np.ndarray
    centre: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """(n, ⌈D/8⌉) uint8, as `bssl_tf.deploy.codes` packs them."""
        return binary_codes(self.features, self.centre)

    def save(self, path: Path) -> None:
        content = io.BytesIO()
        facts = json.dumps({"origin": asdict(self.origin), "paths": self.paths})
        np.savez(content, facts=np.frombuffer(facts.encode("utf-8", "surrogateescape"), np.uint8), **self._arrays())
        write_bytes(path, content.getvalue())

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"features": self.features, "centre": self.centre}

    @classmethod
    def load(cls, path: Path) -> "PhotoIndex":
        """Read what `save` wrote.

        Raises:
            StaleIndex: it is damaged, or of another version of this program.
            UserError: it is something else.
        """
        try:
            content = read_npz(path)
            facts = json.loads(content["facts"].tobytes().decode("utf-8", "surrogateescape"))
            origin, paths = Origin(**facts["origin"]), tuple(facts["paths"])
            if origin.format != _FORMAT:
                raise ValueError(f"its format is {origin.format}, not {_FORMAT}")
            features, centre = content["features"], content["centre"]
            if features.ndim != 2 or features.shape != (len(paths), *centre.shape):
                raise ValueError(f"{len(paths)} photos, features of shape {features.shape}")
            return cls(origin, paths, features, centre)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            check_replaceable(path)
            raise StaleIndex(f"--index={path} cannot be used ({error}): add --rebuild.") from error

    def check_fresh(self, model: Path, photos: FolderSource) -> None:
        """Refuse to search with another network, or among photos that have changed.

        Raises:
            StaleIndex: says what is different.
        """
        if self.origin.model != fingerprint(model):
            raise StaleIndex(f"The index was made with another file than --model={model}: add --rebuild.")
        if self.origin.photos != photos.fingerprint or self.paths != tuple(photos.paths):
            now, then = set(photos.paths), set(self.paths)
            changes = [f"{len(now - then)} new", f"{len(then - now)} gone"]
            if now == then:
                changes = ["some have changed"]
            raise StaleIndex(f"The photos are not those of the index ({', '.join(changes)}): add --rebuild.")


def check_replaceable(path: Path) -> None:
    """Raises:
    UserError: the file exists and is no index, not even a damaged or an old one: it is not to be overwritten.
    """
    if not path.exists():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        names = set()
    if not names >= {"facts.npy", "features.npy", "centre.npy"}:
        raise UserError(f"--index={path} is no index of this program: name another file, or move that one away.")


def open_photos(root: Path) -> tuple[FolderSource, ScanReport]:
    """All readable images below a folder, in the order of their paths, and what was skipped.

    Raises:
        UserError: there is no readable image.
    """
    report = scan_folder(root)
    if not report.images:
        raise UserError(f"No file in {root} is an image that can be read.\n{report.text()}")
    return FolderSource(report, list(report.images)), report


def build(model_path: Path, photos: FolderSource, progress: Callable[[int], None] = lambda done: None) -> PhotoIndex:
    """Run all photos through a converted file.

    Args:
        model_path: a .tflite file that gives features.
        photos: of `open_photos`.
        progress: called with the number of photos that are done.
    """
    model = TfliteBackbone(model_path)
    batches: list[np.ndarray] = []
    for batch in _images(model, photos):
        batches.append(model.features(batch))
        progress(sum(map(len, batches)))
    features = np.concatenate(batches)
    origin = Origin(fingerprint(model_path), photos.fingerprint, str(photos.report.root.resolve()))
    return PhotoIndex(origin, tuple(photos.paths), features, features.mean(axis=0))


def features_of(model_path: Path, files: Sequence[Path]) -> np.ndarray:
    """(n, D) features of single images, read just as those of an index are.

    Raises:
        UserError: one of them cannot be read.
    """
    model = TfliteBackbone(model_path)
    rows = []
    for file in files:
        try:
            report = ScanReport(file.parent, {file.name: check_image(file)}, [])
        except UnreadableImage as reason:
            raise UserError(f"--query={file}: {reason}.") from None
        rows += [model.features(batch) for batch in _images(model, FolderSource(report, [file.name]))]
    return np.concatenate(rows)


def _images(model: TfliteBackbone, photos: FolderSource) -> Iterator[np.ndarray]:
    size, _, channels = model.image_shape
    with readable_data_errors():
        dataset = evaluation_images(photos, image_size=size, channels=channels, batch_size=_BATCH)
        yield from dataset.as_numpy_iterator()
