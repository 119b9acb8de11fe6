"""What lies between the convolutions of a binary network, in few passes over memory.

Bias, sign, padding, PReLU and their gradients do little arithmetic, but one by one each of them reads and
writes every activation. Here each group is one loop, fused by XLA, and so is its gradient, which computes masks
again instead of keeping them. Gradients of biases and slopes, sums over batch and positions, are matrix
products with a row of ones; XLA's own reductions take three times as long. Convolutions and batch norms stay with
oneDNN or cuDNN: on a CPU a whole network under XLA took longer than one without it.

In float32 values are exactly those of the plain form; gradients agree to rounding.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_OF_KERAS = ("name", "trainable", "dtype")

fuse = functools.partial(tf.function, jit_compile=True, autograph=False)


def column_sums(values: tf.Tensor) -> tf.Tensor:
    """Sums over all axes but the last, added up in float32; shape (channels,), dtype of `values`."""
    rows = tf.reshape(tf.cast(values, tf.float32), (-1, values.shape[-1]))
    sums = tf.matmul(tf.ones((1, tf.shape(rows)[0])), rows)
    return tf.cast(sums[0], values.dtype)


@tf.custom_gradient
def add_bias(inputs: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
    """``inputs + bias``; inputs (batch, height, width, channels), bias (channels,)."""
    return inputs + bias, lambda upstream: (upstream, column_sums(upstream))


@tf.custom_gradient
def rprelu(
    inputs: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
    """``PReLU(inputs + shift) + offset``, the activation of ReActNet (https://arxiv.org/abs/2003.03488, equation 4).

    Args:
        inputs: (batch, height, width, channels).
        shift: (channels,), added before.
        slope: (1, 1, channels), factor of what is negative then.
        offset: (channels,), added after.
    """
    return _rprelu(inputs, shift, slope, offset), lambda upstream: _rprelu_gradient(inputs, shift, slope, upstream)


@fuse
def _rprelu(inputs: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    shifted = inputs + shift
    return tf.where(shifted >= 0, shifted, slope * shifted) + offset


@fuse
def _rprelu_gradient(
    inputs: tf.Tensor, shift: tf.Tensor, slope: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    shifted = inputs + shift
    to_inputs = tf.where(shifted >= 0, upstream, slope * upstream)
    to_slope = column_sums(tf.minimum(shifted, 0) * upstream)
    return to_inputs, column_sums(to_inputs), tf.reshape(to_slope, slope.shape), column_sums(upstream)


def signs(
    inputs: tf.Tensor, bias: tf.Tensor | None, quantizer: tf.keras.layers.Layer, *, shifted: bool = False
) -> tf.Tensor:
    """``quantizer(inputs + bias)``, which is ±1, or, shifted, that minus one.

    Args:
        inputs: (batch, height, width, channels).
        bias: (channels,), or None.
        quantizer: a Larq quantizer with values ±1. Its pseudo-gradient is the one that is used.
        shifted: see `convolution_of_signs`.
    """
    quantize, quantize_gradient = _fused_quantizer(*what_quantises(quantizer), shifted)

    @tf.custom_gradient
    def quantized(inputs: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        return quantize(inputs, bias), lambda upstream: quantize_gradient(inputs, bias, upstream)

    return quantized(inputs, tf.zeros((), inputs.dtype) if bias is None else bias)


def what_quantises(quantizer: tf.keras.layers.Layer) -> tuple[type, tuple[tuple[str, Any], ...]]:
    """Class and settings of a quantizer: equal for those that quantise alike."""
    settings = {name: value for name, value in quantizer.get_config().items() if name not in _OF_KERAS}
    return type(quantizer), tuple(settings.items())


def can_shift(inputs: tf.Tensor) -> bool:
    """Whether padding with ones is best done by shifted signs: not in 16 bits, where the larger sums lose digits."""
    return inputs.dtype == tf.float32


def convolution_of_signs(
    signs: tf.Tensor,
    kernel: tf.Tensor,
    *,
    strides: tuple[int, int],
    margins: list[list[int]] | None,
    shifted: bool = False,
) -> tf.Tensor:
    """Convolution of ±1, padded with +1.

    A convolution padded with ones is one of ``signs - 1`` padded with zeros, plus the sum of the kernel: oneDNN and
    cuDNN pad with zeros for free, and nothing has to be copied into a larger tensor, or cut out of its gradient.
    In float32 every number is a small integer where the kernel is binary, so the result is exact.

    Args:
        signs: (batch, height, width, channels), ±1 or, shifted, 0 and -2.
        kernel: (kernel height, kernel width, channels, filters), as the convolution is to use it.
        strides: of height and width.
        margins: what "same" padding adds before and after each of the four axes; None: no padding.
        shifted: whether one was subtracted from the signs.
    """
    geometry = dict(strides=[1, *strides, 1], padding="SAME" if shifted else "VALID")
    if not shifted:
        padded = signs if margins is None else tf.pad(signs, margins, constant_values=1)
        return tf.nn.conv2d(padded, kernel, **geometry)

    @tf.custom_gradient
    def convolve(signs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        outputs = tf.nn.bias_add(tf.nn.conv2d(signs, kernel, **geometry), tf.reduce_sum(kernel, (0, 1, 2)))

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            to_signs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(signs), filter=kernel, out_backprop=upstream, **geometry
            )
            to_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=signs, filter_sizes=kernel.shape, out_backprop=upstream, **geometry
            )
            return tf.ensure_shape(to_signs, signs.shape), to_kernel + column_sums(upstream)

        return outputs, gradient

    return convolve(signs, kernel)


@functools.cache
def _fused_quantizer(
    kind: type, settings: tuple[tuple[str, Any], ...], shifted: bool
) -> tuple[Callable[..., tf.Tensor], Callable[..., tuple[tf.Tensor, tf.Tensor]]]:
    """A quantizer and its gradient, fused; shared by all layers that quantise alike, as XLA compiles for seconds."""
    quantizer = kind(**dict(settings))

    @fuse
    def quantize(inputs: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return quantizer.call(inputs + bias) - tf.cast(shifted, inputs.dtype)

    @fuse
    def gradient(inputs: tf.Tensor, bias: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        biased = inputs + bias
        with tf.GradientTape() as tape:
            tape.watch(biased)
            signs = quantizer.call(biased)
        to_inputs = tape.gradient(signs, biased, upstream)
        return to_inputs, column_sums(to_inputs) if bias.shape.rank else tf.zeros_like(bias)

    return quantize, gradient
