import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import TfliteBackbone, convert_backbone, inspect_file
from bssl_tf.deploy.flatbuffer.edit import packed, unpacked
from bssl_tf.deploy.flatbuffer.float_weights import with_float_weights
from bssl_tf.deploy.flatbuffer.inspect import BINARY_WEIGHTS

L = tf.keras.layers


@pytest.fixture(scope="module")
def pictures(build):
    return build["images"](16, 8, 3)


@pytest.fixture(scope="module")
def model(build, pictures):
    """A float network with each kind of kernel, and one too small to be worth it."""
    pixels = L.Input((8, 8, 3))
    x = L.Conv2D(8, 3, padding="same", activation="relu")(L.Rescaling(1 / 64, offset=-2.0)(pixels))
    x = L.DepthwiseConv2D(3, depth_multiplier=16)(x)
    x = L.Conv2D(32, 3, activation="relu")(x)
    model = tf.keras.Model(pixels, L.Dense(40)(L.Flatten()(x)), name="float")
    return build["with_random_weights"](model, pictures)


@pytest.fixture(scope="module")
def file(model):
    return convert_backbone(model)


@pytest.mark.parametrize("kind, bytes_a_weight, error", [("float16", 2, 1e-3), ("int8", 1, 2e-2)])
def test_only_float_kernels_are_rounded(kind, bytes_a_weight, error, model, file, pictures):
    small = with_float_weights(file, kind)
    features, rounded = TfliteBackbone(file).features(pictures), TfliteBackbone(small).features(pictures)
    deviations = np.linalg.norm(features - rounded, axis=1) / np.linalg.norm(features, axis=1)
    assert 0 < deviations.max() < error
    weights = 9 * 128 + 9 * 128 * 32 + 512 * 40
    assert inspect_file(small).operators["DEQUANTIZE"] == 3
    saved = (4 - bytes_a_weight) * weights
    assert saved - 4000 < len(file) - len(small) <= saved


def test_each_output_channel_has_its_own_scale(model, pictures):
    """Channels of very different sizes: one scale for all would round the small ones to zero."""
    scales = np.logspace(-4, 4, 40)
    twin = tf.keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.layers[-1].set_weights([values * scales for values in model.layers[-1].get_weights()])
    file = convert_backbone(twin)
    features = TfliteBackbone(file).features(pictures) / scales
    rounded = TfliteBackbone(with_float_weights(file, "int8")).features(pictures) / scales
    assert np.abs(features - rounded).max() < 0.05 * np.abs(features).max()


def test_binary_weights_stay_and_float32_changes_nothing(residual_file):
    assert with_float_weights(residual_file, "float32") is residual_file
    small = inspect_file(with_float_weights(residual_file, "int8"))
    assert small.constant_bytes[BINARY_WEIGHTS] == inspect_file(residual_file).constant_bytes[BINARY_WEIGHTS]


def test_an_unknown_kind_lists_those_there_are(residual_file):
    with pytest.raises(ValueError, match="--float_weights='int4'.*float32, float16, int8"):
        with_float_weights(residual_file, "int4")


def test_constants_stay_aligned(residual_file):
    content = packed(unpacked(residual_file))
    buffers = [bytes(bytearray(buffer.data)) for buffer in unpacked(content).buffers if buffer.data is not None]
    long = [data for data in buffers if len(data) > 64]
    assert long and all(content.index(data) % 16 == 0 for data in long)
