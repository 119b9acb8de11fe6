"""A folder of photos, a converted network, and its index."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bssl_tf.deploy import convert_backbone
from bssl_tf.search.photo_index import build, open_photos


@pytest.fixture(scope="module")
def converted():
    """A small float network with random weights, as a .tflite file."""
    pixels = tf.keras.Input((16, 16, 3), batch_size=1)
    x = tf.keras.layers.Conv2D(24, 5, strides=2, activation="relu")(pixels / 255.0)
    return convert_backbone(tf.keras.Model(pixels, tf.keras.layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def model(tmp_path, converted):
    (tmp_path / "model.tflite").write_bytes(converted)
    return tmp_path / "model.tflite"


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    root = tmp_path / "photos"
    (root / "nested").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / ("nested" if number % 2 else "") / f"{number:02d}.png")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def index(model, folder):
    return build(model, open_photos(folder)[0])
