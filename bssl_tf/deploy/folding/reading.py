"""Reads a Keras functional model into the graph of `nodes`, by kinds of layers; unsupported ones become `Opaque`."""

from collections.abc import Callable
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf

from bssl_tf.deploy.folding.nodes import (
    CONVOLUTION,
    DENSE,
    DEPTHWISE,
    Concatenation,
    Convolution,
    Node,
    Opaque,
    Pixels,
    Pool,
    Prelu,
    Relu,
    Scale,
    Shift,
    Sum,
)
from bssl_tf.models.layers import LearnableBias, RPReLU
from bssl_tf.models.normalisation import PixelNormalisation
from bssl_tf.models.quantization import SIGNS

L = tf.keras.layers

_NOTHING_AT_INFERENCE = (L.Dropout, L.SpatialDropout2D, L.GaussianNoise, L.GaussianDropout)
_POOLS = (L.AveragePooling2D, L.MaxPooling2D, L.GlobalAveragePooling2D, L.GlobalMaxPooling2D)


def read(model: tf.keras.Model) -> Node:
    """The graph of what a functional model computes at inference, as its output.

    Layers that the output does not need are left out, nested models are opened.
    """
    return _read_model(model, None)


def _read_model(model: tf.keras.Model, source: Node | None) -> Node:
    """Only layers that the output needs are among a functional model's nodes."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(f"{model.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one each")
    read_so_far: dict[int, Node] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for keras_node in model._nodes_by_depth[depth]:
            output = tf.nest.flatten(keras_node.outputs)[0]
            if keras_node.is_input:
                node = source or Pixels(keras_node.layer.name, [], output.shape[-1])
            else:
                inputs = [read_so_far[id(tensor)] for tensor in keras_node.keras_inputs]
                node = _read_layer(keras_node, inputs, output)
            read_so_far[id(output)] = node
    return read_so_far[id(model.outputs[0])]


def _read_layer(keras_node: Any, inputs: list[Node], output: tf.Tensor) -> Node:
    layer = keras_node.layer
    if isinstance(layer, tf.keras.Model) and len(inputs) == 1 and hasattr(layer, "_nodes_by_depth"):
        return _read_model(layer, inputs[0])
    if isinstance(layer, _NOTHING_AT_INFERENCE):
        return inputs[0]
    node = None
    if getattr(layer, "data_format", "channels_last") == "channels_last":
        node = _read_joint(keras_node, inputs) if len(inputs) > 1 else _read_chain(layer, inputs[0], output)
    return node or Opaque(layer.name, inputs, output.shape[-1], call=_as_called(keras_node))


def _read_joint(keras_node: Any, inputs: list[Node]) -> Node | None:
    """A layer with several inputs; None if it is unsupported."""
    layer = keras_node.layer
    shapes = {tuple(tensor.shape) for tensor in keras_node.keras_inputs}
    rank = len(next(iter(shapes)))
    adds = (
        type(layer) is L.Add or getattr(layer, "symbol", None) == "__operators__.add"
    )  # or x + y of two Keras tensors
    if adds and len(shapes) == 1:
        return Sum(layer.name, inputs, inputs[0].channels)
    if type(layer) is L.Concatenate and layer.axis in (-1, rank - 1):
        return Concatenation(layer.name, inputs, sum(node.channels for node in inputs))
    return None


def _read_chain(layer: tf.keras.layers.Layer, x: Node, output: tf.Tensor) -> Node | None:
    """A layer with one input as one or several nodes in a row; None if it is unsupported."""
    name, channels = layer.name, output.shape[-1]
    if isinstance(layer, PixelNormalisation):
        shifted = Shift(name, [x], channels, amount=-np.array(layer.mean), subtracts=True)
        return Scale(name, [shifted], channels, factor=1 / np.array(layer.std))
    if isinstance(layer, L.BatchNormalization):
        return _batch_norm(layer, x) if layer.axis in (-1, [len(output.shape) - 1]) else None
    if isinstance(layer, LearnableBias):
        return Shift(name, [x], channels, amount=_numbers(layer.bias))
    if isinstance(layer, RPReLU):
        x = Shift(name, [x], channels, amount=_numbers(layer.shift))
        x = Prelu(name, [x], channels, slope=_numbers(layer.slope).ravel())
        return Shift(name, [x], channels, amount=_numbers(layer.offset))
    if type(layer) is L.PReLU and layer.alpha.shape.num_elements() == channels:
        return Prelu(name, [x], channels, slope=_numbers(layer.alpha).ravel())
    if type(layer) is L.ReLU and layer.max_value is None and not layer.negative_slope and not layer.threshold:
        return Relu(name, [x], channels)
    if type(layer) is L.Activation:
        return _activation(layer.activation, name, x)
    if isinstance(layer, _POOLS):
        return Pool(name, [x], channels, pool=layer, takes_maximum="Max" in type(layer).__name__)
    convolution = _convolution(layer, x, channels)
    return convolution and _activation(layer.activation, name, convolution)


def _numbers(variable: Any) -> np.ndarray:
    return tf.convert_to_tensor(variable).numpy().astype(np.float64)


def _batch_norm(layer: tf.keras.layers.Layer, x: Node) -> Node:
    factor = 1 / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
    if layer.gamma is not None:
        factor = factor * _numbers(layer.gamma)
    amount = -_numbers(layer.moving_mean) * factor
    if layer.beta is not None:
        amount = amount + _numbers(layer.beta)
    return Shift(layer.name, [Scale(layer.name, [x], x.channels, factor=factor)], x.channels, amount=amount)


def _activation(activation: Callable, name: str, x: Node) -> Node | None:
    if activation is tf.keras.activations.linear:
        return x
    if activation is tf.keras.activations.relu:
        return Relu(name, [x], x.channels)
    return None


def _convolution(layer: tf.keras.layers.Layer, x: Node, channels: int) -> Convolution | None:
    """A convolution or dense layer with its bias, before its activation."""
    kinds = {L.Conv2D: CONVOLUTION, L.DepthwiseConv2D: DEPTHWISE, L.Dense: DENSE}
    kinds |= {lq.layers.QuantConv2D: CONVOLUTION, lq.layers.QuantDepthwiseConv2D: DEPTHWISE}
    kind = next((kind for parent, kind in kinds.items() if _is_plainly(layer, parent)), None)
    quantizer = getattr(layer, "input_quantizer", None)
    known = quantizer is None or isinstance(quantizer, SIGNS)
    if kind is None or not known or (kind == CONVOLUTION and layer.groups != 1):
        return None
    bias = _numbers(layer.bias) if layer.use_bias else np.zeros(channels)
    own: dict[str, Any] = dict(kind=kind, bias=bias, of_signs=quantizer is not None)
    if kind != DENSE:
        own |= dict(strides=layer.strides, dilations=layer.dilation_rate, padding=layer.padding.upper())
        if layer.padding == "same" and getattr(layer, "pad_values", 0.0) != 0.0:
            own |= dict(margins=layer._get_padding_same, pad_value=layer.pad_values, padding="VALID")
    kernel = layer.depthwise_kernel if kind == DEPTHWISE else layer.kernel
    with lq.context.quantized_scope(True):
        kernel = _numbers(kernel)
    node = Convolution(layer.name, [x], channels, kernel=kernel, **own)
    _split_binary_kernel(node)
    return node


def _is_plainly(layer: tf.keras.layers.Layer, parent: type) -> bool:
    """Whether the layer is of this very class, or the package's own form of it, which computes the same."""
    return type(layer) is parent or (isinstance(layer, parent) and type(layer).__module__.startswith("bssl_tf."))


def _split_binary_kernel(node: Convolution) -> None:
    """Of a kernel that is ± one magnitude for each output channel, take the magnitude out."""
    if not (node.of_signs and node.kind == CONVOLUTION):
        return
    magnitudes = np.abs(node.kernel)
    if np.all(magnitudes == magnitudes[:1, :1, :1]) and not np.any(node.bias):
        node.multiplier = magnitudes[0, 0, 0]
        node.kernel = np.where(node.kernel < 0, -1.0, 1.0)
        node.binary = True


def _as_called(keras_node: Any) -> Callable[..., tf.Tensor]:
    """The layer, with the arguments of its call and other tensors in the place of those of Keras."""
    positions = {id(tensor): position for position, tensor in enumerate(keras_node.keras_inputs)}

    def call(*tensors: tf.Tensor) -> tf.Tensor:
        def put_in(argument: Any) -> Any:
            return tensors[positions[id(argument)]] if id(argument) in positions else argument

        arguments, named = tf.nest.map_structure(put_in, (keras_node.call_args, keras_node.call_kwargs))
        return keras_node.layer(*arguments, **named)

    return call
