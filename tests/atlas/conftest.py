"""A folder of digits with names that are hostile, and a file for LCE of a small network that has seen some digits."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bssl_tf.atlas.demo_photos import write_photos
from bssl_tf.config.export import ExportSettings
from bssl_tf.config.saved import save
from bssl_tf.config.training import Config, DataSettings, RunSettings
from bssl_tf.data import load_source
from bssl_tf.deploy.export import export
from bssl_tf.models import BackboneSpec, build_backbone, save_backbone

SPEC = BackboneSpec("reactnet_small", 8, 1, mean=(78,), std=(96,), width=32, stages=2)
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
    save_backbone(_trained(), SPEC, run / "stage2")
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


def _trained():
    """Two epochs with labels: enough for neighbours to be of the same class."""
    import tensorflow as tf

    source = load_source(DataSettings(dataset="digits"), "train")
    pixels = np.stack(list(source.examples().map(lambda row: source.decode(row["record"])).as_numpy_iterator()))
    backbone = build_backbone(SPEC)
    network = tf.keras.Model(backbone.input, tf.keras.layers.Dense(10)(backbone.output))
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf.keras.optimizers.Adam(3e-3), loss)
    network.fit(pixels.astype(np.float32), source.labels, batch_size=64, epochs=2, verbose=0)
    return backbone
