"""Small binary networks with random weights, converted once for all deployment tests."""

import larq as lq
import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import convert_backbone

L = tf.keras.layers


class ChannelBias(L.Layer):
    def build(self, input_shape):
        self.bias = self.add_weight("bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs):
        return inputs + self.bias


def binary_convolution(x, filters, kernel, stride=1, pad_values=1.0, kernel_quantizer="ste_sign"):
    return lq.layers.QuantConv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        pad_values=pad_values,
        use_bias=False,
        input_quantizer="ste_sign",
        kernel_quantizer=kernel_quantizer,
    )(x)


def residual_network(pad_values=1.0, kernel_quantizer="ste_sign", size=16, width=32):
    """Stem, a 3×3 block, a 3×3 block with stride 2, and two 1×1 branches that double the channels."""
    options = dict(pad_values=pad_values, kernel_quantizer=kernel_quantizer)
    pixels = L.Input((size, size, 3))
    x = L.Rescaling(1 / 64, offset=-2.0)(pixels)
    x = L.BatchNormalization()(L.Conv2D(width, 3, padding="same", use_bias=False)(x))
    for stride in (1, 2):
        shortcut = x if stride == 1 else L.AveragePooling2D(2)(x)
        y = binary_convolution(ChannelBias()(x), width, 3, stride, **options)
        x = L.Add()([shortcut, L.BatchNormalization()(y)])
        x = L.PReLU(shared_axes=[1, 2])(ChannelBias()(x))
    branches = [binary_convolution(ChannelBias()(x), width, 1, **options) for _ in range(2)]
    x = L.Concatenate()([L.Add()([x, L.BatchNormalization()(branch)]) for branch in branches])
    return tf.keras.Model(pixels, L.GlobalAveragePooling2D()(x), name="residual")


def plain_network(size=8):
    """Binary convolutions in a row, ReLU on either side of the batch norm, and a float dense layer."""
    pixels = L.Input((size, size, 1))
    x = L.Rescaling(1 / 64, offset=-2.0)(pixels)
    x = L.BatchNormalization()(L.Conv2D(64, 3, padding="same", activation="relu")(x))
    x = L.BatchNormalization()(binary_convolution(x, 64, 3))
    x = L.BatchNormalization()(L.ReLU()(binary_convolution(x, 128, 3)))
    x = L.BatchNormalization()(binary_convolution(x, 64, 3, 2))
    x = L.GlobalAveragePooling2D()(x)
    return tf.keras.Model(pixels, L.Dense(48, activation="relu")(x), name="plain")


def with_random_weights(model, images, seed=0):
    """Random weights, and batch norm statistics as the images give them, so that no sign is a constant."""
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        spread = {"gamma": (0.5, 1.5), "alpha": (0.1, 0.4)}.get(weight.name.split("/")[-1].split(":")[0], (-0.4, 0.4))
        weight.assign(random.uniform(*spread, weight.shape))
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 0.0
    model(images.astype(np.float32), training=True)
    return model


def smooth_images(count, size, channels, seed=1):
    coarse = np.random.default_rng(seed).uniform(0, 255, (count, size // 4, size // 4, channels))
    return np.clip(tf.image.resize(coarse, (size, size), "bicubic").numpy(), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def images():
    return smooth_images(32, 16, 3)


@pytest.fixture(scope="session")
def residual(images):
    return with_random_weights(residual_network(), images)


@pytest.fixture(scope="session")
def residual_file(residual):
    return convert_backbone(residual)


@pytest.fixture(scope="session")
def grey_images():
    return smooth_images(32, 8, 1)


@pytest.fixture(scope="session")
def plain(grey_images):
    return with_random_weights(plain_network(), grey_images)


@pytest.fixture(scope="session")
def plain_file(plain):
    return convert_backbone(plain, input_type="float32")


@pytest.fixture(scope="session")
def build():
    """The builders themselves, for tests that need a variant."""
    return {
        "residual": residual_network,
        "plain": plain_network,
        "binary_convolution": binary_convolution,
        "images": smooth_images,
        "with_random_weights": with_random_weights,
    }
