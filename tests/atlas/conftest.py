"""A folder of digits with names that are hostile, and a file for LCE of a network with random weights."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bssl_tf.atlas.demo_photos import write_photos
from bssl_tf.atlas.indexing import open_index
from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.config.export import ExportSettings
from bssl_tf.config.saved import save
from bssl_tf.config.training import Config, DataSettings, RunSettings
from bssl_tf.deploy.export import export
from bssl_tf.models import BackboneSpec, build_backbone, save_backbone

SPEC = BackboneSpec("reactnet_small", 8, 1, mean=(78,), std=(96,), width=128, stages=2)
"""So wide that random weights find neighbours of the same class."""
HOSTILE = "<img src=x onerror=document.title='owned'>.png"
PHOTOS = 240


@dataclass(frozen=True)
class Digits:
    """Attributes:
    folder: of photos.
    truth: class by relative path.
    run: workdir.
    model: .tflite file.
    """

    folder: Path
    truth: dict[str, str]
    run: Path
    model: Path


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Digits:
    import tensorflow as tf

    root = tmp_path_factory.mktemp("atlas")
    tf.keras.utils.set_random_seed(1)
    run = root / "run"
    save(Config(run=RunSettings(workdir=str(run))), run / "config.json")
    save_backbone(build_backbone(SPEC), SPEC, run / "stage2")
    model = run / "model.tflite"
    export(run, model, ExportSettings(fold=False))
    folder = root / "photos"
    write_photos(folder, DataSettings(dataset="digits"), "train", PHOTOS)
    with open(folder.with_suffix(".csv"), newline="") as file:
        truth = {row["path"]: row["class"] for row in csv.DictReader(file)}
    shutil.copy(folder / "00007.png", folder / HOSTILE)
    truth[HOSTILE] = truth["00007.png"]
    (folder / "broken.png").write_bytes(b"no picture")
    secret = root / "secret.png"
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(secret)
    (folder / "outside.png").symlink_to(secret)
    return Digits(folder, truth, run, model)


@pytest.fixture(scope="session")
def photos(digits) -> PhotoFolder:
    return PhotoFolder(digits.folder)


@pytest.fixture(scope="session")
def index(digits, photos, tmp_path_factory):
    return open_index(tmp_path_factory.mktemp("session"), digits.model, photos)


@pytest.fixture(scope="session")
def classes(digits, photos):
    return np.array([int(digits.truth[path]) for path in photos.paths])


def blobs(count, spread=0.3, seed=0):
    """Features around four centres, and the centre of each."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(4, size=count)
    return (3 * np.eye(16)[classes] + spread * generator.normal(size=(count, 16))).astype(np.float32), classes
