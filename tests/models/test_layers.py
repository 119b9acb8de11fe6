"""The fused forms of training against the plain forms of inference: same values, same gradients."""

import larq as lq
import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.models import fused
from bssl_tf.models.choices import BINARY, BINARY_ACTIVATIONS
from bssl_tf.models.fused import column_sums, convolution_of_signs
from bssl_tf.models.layers import LearnableBias, QuantConv2D, RPReLU
from bssl_tf.models.quantization import Binarisation


def values_and_gradients(layer, inputs, training):
    upstream = tf.cast(tf.random.stateless_normal(layer(inputs).shape, (1, 2)), inputs.dtype)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
    sources = [inputs, *layer.trainable_variables]
    return [outputs, *tape.gradient(outputs, sources, upstream)]


def check_fused_is_plain(layer, inputs):
    layer(inputs)
    for number, weight in enumerate(layer.trainable_variables):
        weight.assign(tf.random.stateless_normal(weight.shape, (number, 7), stddev=0.7))
    in_training, plain = (values_and_gradients(layer, inputs, training) for training in (True, False))
    for ours, expected in zip(in_training, plain, strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-4)
    return in_training, plain


def some_inputs(size=7, channels=8):
    return tf.random.stateless_normal((4, size, size, channels), (3, 4))


@pytest.mark.parametrize("layer", [LearnableBias, RPReLU])
def test_biases_and_prelu(layer):
    check_fused_is_plain(layer(), some_inputs())


@pytest.mark.parametrize("quantizer", ["ste_sign", "approx_sign", "swish_sign", "magnitude_aware_sign"])
@pytest.mark.parametrize("size, kernel, stride, padding", [(7, 3, 2, "same"), (8, 3, 2, "same"), (5, 1, 1, "valid")])
@pytest.mark.parametrize("mode", [BINARY, BINARY_ACTIVATIONS])
def test_binary_convolutions(quantizer, size, kernel, stride, padding, mode):
    options = Binarisation(mode, quantizer).options()
    layer = QuantConv2D(16, kernel, strides=stride, padding=padding, use_bias=False, **options)
    assert layer._can_fuse
    ours, plain = check_fused_is_plain(layer, some_inputs(size))
    if mode == BINARY and quantizer != "magnitude_aware_sign":
        np.testing.assert_array_equal(ours[0], plain[0])  # sums of ±1 are exact


@pytest.mark.parametrize("kernel", [3, 1])
def test_convolutions_behind_a_bias_share_its_signs(kernel, monkeypatch):
    options = dict(padding="same", use_bias=False, **Binarisation(BINARY).options())
    inputs = tf.keras.Input((7, 7, 8))
    biased = LearnableBias()(inputs)
    outputs = [QuantConv2D(16, kernel, **options)(biased) for _ in range(2)]
    biases, signs = [], fused.signs

    def watched(inputs, bias, *rest, **named):
        biases.append(bias)
        return signs(inputs, bias, *rest, **named)

    monkeypatch.setattr(fused, "signs", watched)
    ours, plain = check_fused_is_plain(tf.keras.Model(inputs, tf.concat(outputs, axis=-1)), some_inputs())
    assert len(biases) == 1 and biases[0].shape == (8,)
    np.testing.assert_array_equal(ours[0], plain[0])


def test_in_16_bits_ones_are_padded_as_the_larger_sums_would_lose_digits():
    inputs = tf.cast(some_inputs(6, channels=64), tf.bfloat16)
    kernel = tf.sign(tf.random.stateless_uniform((3, 3, 64, 16), (0, 0)) - 0.3)  # 70 % are +1
    kernel, margins = tf.cast(kernel, tf.bfloat16), [[0, 0], [1, 1], [1, 1], [0, 0]]
    upstream = tf.cast(tf.random.stateless_normal((4, 6, 6, 16), (1, 2)), tf.bfloat16)
    quantizer = lq.quantizers.SteSign()

    def gradients_of(convolve):
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel])
            outputs = convolve()
        return outputs, *tape.gradient(outputs, [inputs, kernel], upstream)

    plain = gradients_of(
        lambda: tf.nn.conv2d(tf.pad(lq.quantizers.ste_sign(inputs), margins, constant_values=1), kernel, 1, "VALID")
    )
    ours = gradients_of(
        lambda: convolution_of_signs(
            fused.signs(inputs, None, quantizer),
            kernel,
            strides=(1, 1),
            margins=margins,
            shifted=fused.can_shift(inputs),
        )
    )
    for result, expected in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(tf.cast(result, tf.float32), tf.cast(expected, tf.float32))


def test_an_activation_follows_the_convolution():
    options = dict(padding="same", activation="relu", use_bias=False, **Binarisation(BINARY).options())
    ours, _ = check_fused_is_plain(QuantConv2D(16, 3, **options), some_inputs())
    assert np.min(ours[0]) == 0


def test_zero_counts_as_plus_one():
    layer = QuantConv2D(8, 3, padding="same", use_bias=False, **Binarisation(BINARY).options())
    np.testing.assert_array_equal(layer(tf.zeros((1, 4, 4, 8)), training=True), layer(tf.ones((1, 4, 4, 8))))


@pytest.mark.parametrize(
    "options", [dict(padding="same", pad_values=0.0), dict(input_quantizer=None), dict(use_bias=True), dict(groups=2)]
)
def test_what_cannot_be_fused_stays_larqs_own(options):
    of_mode = Binarisation(BINARY).options()
    options = {"use_bias": False, **of_mode, **options}
    layer, larqs = QuantConv2D(8, 3, **options), lq.layers.QuantConv2D(8, 3, **options)
    larqs(some_inputs())
    assert not layer._can_fuse
    layer(some_inputs())
    layer.set_weights(larqs.get_weights())
    np.testing.assert_array_equal(layer(some_inputs(), training=True), larqs(some_inputs()))


def test_layers_that_quantise_alike_share_what_is_compiled():
    layers = [QuantConv2D(8, 3, padding="same", use_bias=False, **Binarisation(BINARY).options()) for _ in range(2)]
    before = fused._fused_quantizer.cache_info()
    for layer in layers:
        layer(some_inputs(), training=True)
    after = fused._fused_quantizer.cache_info()
    assert after.hits - before.hits >= 1 and after.misses - before.misses <= 1


def test_column_sums_add_up_in_float32():
    ones = tf.ones((3, 1000, 2), tf.bfloat16)  # which cannot tell 3000 from 2999
    assert column_sums(ones).dtype == tf.bfloat16
    np.testing.assert_array_equal(
        tf.cast(column_sums(ones), tf.float32), tf.cast(tf.cast(3000.0, tf.bfloat16), tf.float32)
    )
