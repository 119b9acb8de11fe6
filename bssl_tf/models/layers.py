"""Layers of binary networks. Both of their forms are the same function.

In training they run fused (`bssl_tf.models.fused`); everywhere else they are plain operators, which Larq Compute
Engine's converter recognises.
"""

import larq as lq
import tensorflow as tf
from larq.context import quantized_scope

from bssl_tf.models import fused


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class LearnableBias(tf.keras.layers.Layer):
    """Adds one learnable number a channel: it moves the threshold of the sign that follows.

    In training its result carries what it was made of, so that a `QuantConv2D` behind it adds the bias where it takes
    the sign, and no biased tensor need be written: what nobody reads, TensorFlow does not compute. It also carries the
    signs, once taken, for the next convolution that needs them.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        self.bias = self.add_weight("bias", shape=(input_shape[-1],), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training:
            return inputs + self.bias
        bias = tf.convert_to_tensor(self.bias)
        biased = fused.add_bias(inputs, bias)
        biased._before_bias, biased._signs = (inputs, bias), {}
        return biased


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class RPReLU(tf.keras.layers.Layer):
    """``PReLU(x + shift) + offset``, all per channel (https://arxiv.org/abs/2003.03488, equation 4)."""

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = input_shape[-1]
        quarter = tf.keras.initializers.Constant(0.25)
        self.shift = self.add_weight("shift", shape=(channels,), initializer="zeros")
        self.slope = self.add_weight("slope", shape=(1, 1, channels), initializer=quarter)
        self.offset = self.add_weight("offset", shape=(channels,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if training:
            return fused.rprelu(inputs, *map(tf.convert_to_tensor, (self.shift, self.slope, self.offset)))
        shifted = inputs + self.shift
        return tf.nn.relu(shifted) + (-self.slope) * tf.nn.relu(-shifted) + self.offset  # the PReLU of TFLite


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class QuantConv2D(lq.layers.QuantConv2D):
    """Larq's `QuantConv2D`, fused in training where its inputs are ±1 and its padding +1 or none."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not (training and self._can_fuse):
            return super().call(inputs)
        with quantized_scope(True):
            kernel = tf.convert_to_tensor(self.kernel)
        padded = self.padding == "same" and self.kernel_size != (1, 1)
        shifted = padded and fused.can_shift(inputs)
        outputs = fused.convolution_of_signs(
            self._signs(inputs, shifted),
            kernel,
            strides=self.strides,
            margins=self._get_padding_same(inputs) if padded else None,
            shifted=shifted,
        )
        return self.activation(outputs)

    def _signs(self, inputs: tf.Tensor, shifted: bool) -> tf.Tensor:
        unbiased, bias = getattr(inputs, "_before_bias", (inputs, None))
        known = getattr(inputs, "_signs", {})
        key = shifted, fused.what_quantises(self.input_quantizer)
        if key not in known:
            known[key] = fused.signs(unbiased, bias, self.input_quantizer, shifted=shifted)
        return known[key]

    @property
    def _can_fuse(self) -> bool:
        return (
            isinstance(self.input_quantizer, (lq.quantizers.SteSign, lq.quantizers.ApproxSign, lq.quantizers.SwishSign))
            and not (self.padding == "same" and self.kernel_size != (1, 1) and self.pad_values != 1.0)
            and not self.use_bias
            and self.groups == 1
            and self.dilation_rate == (1, 1)
            and self.data_format == "channels_last"
        )
