"""A Keras model of somebody else runs nothing: not as a teacher, not as a network to lint."""

import contextlib
import json
import time

import h5py
import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.training import TeacherSettings
from bssl_tf.errors import UserError
from bssl_tf.models import load_teacher
from bssl_tf.models.keras_import.architecture import RefusedArchitecture, checked
from bssl_tf.models.keras_import.loading import load_keras_model
from tests.security import hostile_models


def as_teacher(path):
    load_teacher(path, image_size=8, channels=3)


def as_network_to_lint(path):
    load_keras_model(path, flag="--lint", trust_flag="--lint_trust")


@pytest.mark.parametrize("load", [as_teacher, as_network_to_lint])
@pytest.mark.parametrize("make", hostile_models.HOSTILE, ids=lambda make: make.__name__)
def test_nothing_runs(tmp_path, monkeypatch, make, load):
    monkeypatch.syspath_prepend(tmp_path)  # as if the user stood in a folder that came with the model
    marker = tmp_path / "marker"
    path = make(tmp_path, marker)
    assert not marker.exists()
    with pytest.raises(UserError, match=r"is refused: .*--(trust_teacher|lint_trust)"):
        load(path)
    assert not marker.exists()


REAL = [
    hostile_models.lambda_h5,
    hostile_models.lambda_keras,
    hostile_models.saved_model,
    hostile_models.import_of_module,
    hostile_models.operator_h5,
]


@pytest.mark.parametrize("make", REAL, ids=lambda make: make.__name__)
def test_the_payloads_are_real_and_trust_runs_them(tmp_path, monkeypatch, make):
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "marker"
    path = make(tmp_path, marker)
    with contextlib.suppress(UserError):  # Keras may stumble over what the payload returns
        teacher, _ = load_teacher(path, image_size=8, channels=3, trusted=True)
        teacher(np.zeros((1, 8, 8, 3), np.float32))
    assert marker.exists()


@pytest.mark.parametrize("make", hostile_models.DAMAGED, ids=lambda make: make.__name__)
def test_files_made_to_cost_much_are_refused_soon(tmp_path, make):
    path = make(tmp_path)
    begin = time.monotonic()
    with pytest.raises(UserError, match="--teacher=.*(refused|damaged)"):
        as_teacher(path)
    assert time.monotonic() - begin < 10


def shared_and_nested():
    """A layer and models that are called twice, operators, and calls of several inputs."""
    layers = tf.keras.layers
    images = tf.keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    inner_images = tf.keras.Input((8, 8, 3))
    inner = tf.keras.Model(inner_images, layers.ReLU()(layers.Conv2D(3, 1)(inner_images)), name="inner")
    listed = tf.keras.Sequential([layers.Conv2D(3, 1, input_shape=(8, 8, 3)), layers.ReLU()], name="listed")
    late = tf.keras.Sequential([layers.Conv2D(3, 1), layers.ReLU()], name="late")
    wrapped = tf.keras.Sequential([tf.keras.models.clone_model(listed), layers.ReLU()], name="wrapped")
    twice = conv(conv(images))
    x = layers.Add()([inner(twice), inner(images), listed(twice), listed(late(images)), late(twice), wrapped(images)])
    x = layers.Concatenate()([x, x + 2.0 * twice])
    x = layers.Attention()([layers.Reshape((64, 6))(x), layers.Reshape((64, 6))(x)])
    return tf.keras.Model(images, layers.GlobalAveragePooling2D()(layers.Reshape((8, 8, 6))(x)))


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_layers_that_are_shared_and_models_within_are_loaded(tmp_path, ending):
    model = shared_and_nested()
    model.save(tmp_path / f"model.{ending}")
    loaded = load_keras_model(tmp_path / f"model.{ending}", flag="--lint", trust_flag="--lint_trust")
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-5, atol=1e-6)


def test_the_error_of_a_model_that_cannot_be_built_names_no_code(tmp_path):
    path = hostile_models.honest(tmp_path / "name.h5")
    with h5py.File(path, "a") as file:
        configuration = json.loads(file.attrs["model_config"])
        configuration["config"]["name"] = "a\x1b[31mb"
        file.attrs["model_config"] = json.dumps(configuration)
    with pytest.raises(UserError, match="is not a valid root scope name") as error:
        as_teacher(path)
    assert ".py" not in str(error.value) and "user code" not in str(error.value)


def test_nobody_is_trusted_unasked():
    assert TeacherSettings().trust_teacher is False


def test_the_configuration_that_reaches_keras_names_no_module():
    layer = tf.keras.layers.Conv2D(2, 3, kernel_regularizer="l2", dtype="mixed_float16", input_shape=(8, 8, 3))
    entry = tf.keras.saving.serialize_keras_object(tf.keras.Sequential([layer]))
    assert "'module'" in str(entry) and "'registered_name'" in str(entry)
    text = str(checked(json.loads(json.dumps(entry))))
    assert "module" not in text and "registered_name" not in text and "mixed_float16" in text


@pytest.mark.parametrize("configuration", [None, 3, [], {}, {"class_name": "Functional", "config": None}])
def test_what_is_no_configuration(configuration):
    with pytest.raises(RefusedArchitecture):
        checked(configuration)
