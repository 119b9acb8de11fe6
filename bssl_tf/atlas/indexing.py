"""Features of all photos, kept between starts; after changes in the folder only new photos go through the network."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.data.sources.folder import FolderSource
from bssl_tf.errors import UserError
from bssl_tf.files import fingerprint, read_json, write_json
from bssl_tf.search.photo_index import Origin, PhotoIndex, build

_INDEX, _STAMPS = "photos.index", "photos.stamps.json"
_PHOTOS_BETWEEN_SAVES = 4000


def open_index(
    folder: Path, model: Path, photos: PhotoFolder, progress: Callable[[int], None] = lambda done: None
) -> PhotoIndex:
    """The index of the photos by the model; what is missing is computed, and saved on the way.

    Args:
        folder: of the session, where the index is kept.
        model: a .tflite file that gives features.
        photos: the photos.
        progress: gets the number of photos that are done.
    """
    stamps = _stamps_of(photos)
    features = _kept(folder, model, stamps)
    missing = [path for path in photos.paths if path not in features]
    source = FolderSource(photos.report, list(photos.paths))
    origin = Origin(fingerprint(model), source.fingerprint, str(photos.root))
    progress(len(features))
    for start in range(0, len(missing), _PHOTOS_BETWEEN_SAVES):
        part = missing[start : start + _PHOTOS_BETWEEN_SAVES]
        before = len(features)
        index = build(model, FolderSource(photos.report, part), progress=_after(before, progress))
        features |= dict(zip(part, index.features, strict=True))
        done = [path for path in photos.paths if path in features]
        _save(folder, _index(origin, done, features), stamps)
    index = _index(origin, list(photos.paths), features)
    if not missing:
        _save(folder, index, stamps)
    return index


def _index(origin: Origin, paths: list[str], features: dict[str, np.ndarray]) -> PhotoIndex:
    rows = np.stack([features[path] for path in paths])
    return PhotoIndex(origin, tuple(paths), rows, rows.mean(axis=0))


def _stamps_of(photos: PhotoFolder) -> dict[str, list[int]]:
    """Size and time of change of each file."""
    statuses = {path: os.stat(photos.root / path) for path in photos.paths}
    return {path: [status.st_size, status.st_mtime_ns] for path, status in statuses.items()}


def _kept(folder: Path, model: Path, stamps: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Features that were computed before, by this very model, of files that have not changed since."""
    try:
        index = PhotoIndex.load(folder / _INDEX)
        before = read_json(folder / _STAMPS, dict, "")
    except (OSError, UserError):
        return {}
    if index.origin.model != fingerprint(model):
        return {}
    unchanged = (place for place, path in enumerate(index.paths) if path in stamps and before.get(path) == stamps[path])
    return {index.paths[place]: index.features[place] for place in unchanged}


def _save(folder: Path, index: PhotoIndex, stamps: dict[str, list[int]]) -> None:
    """Stamps are written last, and only those of photos in the index: a kill in between costs time, not truth."""
    (folder / _STAMPS).unlink(missing_ok=True)
    replace(index).save(folder / _INDEX)
    write_json(folder / _STAMPS, {path: stamps[path] for path in index.paths})


def _after(before: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: progress(before + done)
