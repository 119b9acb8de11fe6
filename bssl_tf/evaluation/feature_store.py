"""Features of a data set, computed once and kept on disk under a key that changes when anything changes them."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.console import print_warning
from bssl_tf.data import evaluation_images, readable_data_errors
from bssl_tf.errors import UserError
from bssl_tf.evaluation.features import extract_features
from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.base import Network
from bssl_tf.files import read_json, sha256, write_bytes, write_json

PREPROCESSING = "evaluation_images, 1"
"""Names how images reach the network; a new name where `data.evaluation_images` gives other pixels."""


class FeatureStore:
    """Features of one network on one data set: call it with "train" or "test".

    Args:
        folder: where features are kept; None: in memory only.
        network: whose features; its identity is part of the key.
        data: whose images; the fingerprints of its sources are part of the key.
        model: () → the loaded network.
    """

    def __init__(self, folder: Path | None, network: Network, data: LabelledData, model: Callable):
        self._folder, self._network, self._data, self._model = folder, network, data, model
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, split: str) -> np.ndarray:
        """(n, D) float32, in the order of the labels.

        Raises:
            UserError: an image cannot be read, or features are not finite.
        """
        if split not in self._known:
            self._known[split] = self._from_disk_or_network(split)
        return self._known[split]

    def _from_disk_or_network(self, split: str) -> np.ndarray:
        source = getattr(self._data, split)
        key = {"network": self._network.identity, "images": source.fingerprint, "preprocessing": PREPROCESSING}
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        path = self._folder and self._folder / f"{name}.npy"
        if path and path.exists():
            if not (damage := _damage(path)):
                return np.load(path)
            print_warning(f"{path} {damage}: the features are computed again.")
        features = self._computed(source, split)
        if path:
            content = io.BytesIO()
            np.save(content, features)
            about = {"name": self._network.name, "data": self._data.name} | key
            checksum = hashlib.sha256(content.getbuffer()).hexdigest()
            write_json(path.with_suffix(".json"), about | {"sha256": checksum})
            write_bytes(path, content.getvalue())
        return features

    def _computed(self, source: Any, split: str) -> np.ndarray:
        model = self._model()
        size, channels = image_of(model)
        images = evaluation_images(source, image_size=size, channels=channels)
        with readable_data_errors():
            return extract_features(model, images, f"features of {split} images")


def _damage(path: Path) -> str:
    """Why features on disk cannot be trusted; empty if they are as they were written."""
    about = path.with_suffix(".json")
    try:
        expected = read_json(about, dict, "").get("sha256")
    except (FileNotFoundError, UserError):
        return f"has no readable {about.name} beside it"
    if expected is None:
        return f"has no checksum in {about.name}, as an earlier version left it"
    return "" if expected == sha256(path) else f"is not what {about.name} describes, but damaged or changed"


def image_of(model: Any) -> tuple[int, int]:
    """Size and channels of the images that a Keras model or a `TfliteBackbone` takes."""
    size, _, channels = model.image_shape if hasattr(model, "image_shape") else model.input_shape[1:]
    return size, channels
