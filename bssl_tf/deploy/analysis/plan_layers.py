"""What each layer of a Keras network becomes on the device; see `bssl_tf.deploy.analysis.plan`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import larq as lq
import tensorflow as tf

from bssl_tf.models.layers import RPReLU
from bssl_tf.models.quantization import KERNEL_SIGNS, SIGNS

L = tf.keras.layers

FUSED = "fused"
FLOAT = "float"
BINARY = "LceBconv2d"

LATE_ACTIVATION = "it follows the batch norm of a binary convolution, not the convolution itself"
NOTHING_TO_FUSE_INTO = "no convolution right in front to fuse into"

_CONVOLUTIONS = (L.Conv2D, L.SeparableConv2D, L.DepthwiseConv2D, L.Conv2DTranspose)
_WEIGHTED = (*_CONVOLUTIONS, L.Dense)
_NOTHING_AT_INFERENCE = (L.InputLayer, L.Dropout, L.SpatialDropout2D, L.GaussianNoise, L.Flatten, L.Reshape)
_OPERATORS = {L.Rescaling: 2, L.Normalization: 2}
_FLOAT_BYTES = 4
_WORD_CHANNELS = 32


@dataclass(frozen=True)
class PlannedLayer:
    """A layer on the device.

    Attributes:
        name: the Keras layer's.
        what: kind and kernel, such as "QuantConv2D 3×3 stride 2".
        output_shape: without the batch.
        deployed_as: LceBconv2d, float or fused.
        why: why it is that.
        kernel: (height, width, input channels, output channels) of a convolution.
        zero_padded: whether it pads with zeros.
        binary_macs, float_macs: multiply-accumulates for one image.
        binary_weight_bytes: one bit a weight, input channels filled up to words of 32.
        float_bytes: constants that stay float.
        operators: in the file.
    """

    name: str
    what: str
    output_shape: tuple[int | None, ...]
    deployed_as: str
    why: str
    kernel: tuple[int, int, int, int] | None = None
    zero_padded: bool = False
    binary_macs: int = 0
    float_macs: int = 0
    binary_weight_bytes: int = 0
    float_bytes: int = 0
    operators: int = 1

    @property
    def binary(self) -> bool:
        return self.deployed_as == BINARY


def plan_layers(model: tf.keras.Model) -> tuple[PlannedLayer, ...]:
    """All layers that compute something, nested models included, in the model's order."""
    return tuple(_plan_model(model))


def _plan_model(model: tf.keras.Model) -> Iterator[PlannedLayer]:
    graph_nodes = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            yield from _plan_model(layer)
        elif not isinstance(layer, _NOTHING_AT_INFERENCE):
            nodes = [node for node in layer._inbound_nodes if id(node) in graph_nodes]
            for repetition, node in enumerate(nodes):
                yield _plan_node(layer, node, graph_nodes, weights_counted=repetition > 0)


def _plan_node(layer: tf.keras.layers.Layer, node: Any, graph_nodes: set[int], weights_counted: bool) -> PlannedLayer:
    shape = tuple(tf.nest.flatten(node.outputs)[0].shape[1:])
    own = dict(name=layer.name, output_shape=shape)
    parameters = 0 if weights_counted else _FLOAT_BYTES * sum(math.prod(weight.shape) for weight in layer.weights)
    if is_binary(layer):
        return _binary_convolution(layer, node, own, graph_nodes, weights_counted)
    if isinstance(layer, _WEIGHTED):
        return _float_weights(layer, node, own, parameters)
    if isinstance(layer, L.BatchNormalization):
        channels = layer.gamma.shape[0] if layer.gamma is not None else layer.moving_mean.shape[0]
        if _fuses_into_convolution(node, graph_nodes):
            return PlannedLayer(
                **own,
                what="BatchNormalization",
                deployed_as=FUSED,
                operators=0,
                why="multiplier and bias belong to the convolution in front",
            )
        return PlannedLayer(
            **own,
            what="BatchNormalization",
            deployed_as=FLOAT,
            operators=2,
            float_bytes=2 * _FLOAT_BYTES * channels,
            why=NOTHING_TO_FUSE_INTO,
        )
    if _is_activation(layer) and _fused_activation(node, graph_nodes):
        what, why = type(layer).__name__, "fuses into the convolution in front"
        return PlannedLayer(**own, what=what, deployed_as=FUSED, operators=0, why=why)
    if isinstance(layer, RPReLU):
        parameters //= 3  # its two biases go into neighbours, see `folding`
    return PlannedLayer(
        **own,
        what=type(layer).__name__,
        deployed_as=FLOAT,
        float_bytes=parameters,
        operators=_OPERATORS.get(type(layer), 1),
        why=LATE_ACTIVATION if _is_late_activation(layer, node, graph_nodes) else "not a convolution of signs",
    )


def is_binary(layer: tf.keras.layers.Layer) -> bool:
    """Whether LCE has a binary operator for this layer; a float kernel (stage 1) will be binary."""
    return (
        isinstance(layer, lq.layers.QuantConv2D)
        and isinstance(layer.input_quantizer, SIGNS)
        and (layer.kernel_quantizer is None or isinstance(layer.kernel_quantizer, KERNEL_SIGNS))
    )


def _binary_convolution(
    layer: tf.keras.layers.Layer, node: Any, own: dict, graph_nodes: set[int], weights_counted: bool
) -> PlannedLayer:
    height, width, channels, filters = kernel = tuple(layer.kernel.shape)
    words = math.ceil(channels / _WORD_CHANNELS)
    # One threshold a channel where only a sign follows, else multiplier and bias.
    per_channel = _FLOAT_BYTES if _feeds_only_a_sign(node, graph_nodes) else 2 * _FLOAT_BYTES
    stage_one = layer.kernel_quantizer is None
    return PlannedLayer(
        **own,
        what=_described(layer, kernel),
        deployed_as=BINARY,
        why=("input is signs; the kernel becomes signs in stage 2" if stage_one else "input and kernel are signs"),
        kernel=kernel,
        zero_padded=layer.padding == "same" and (height > 1 or width > 1) and layer.pad_values != 1.0,
        binary_macs=_pixels(own["output_shape"]) * math.prod(kernel),
        binary_weight_bytes=0 if weights_counted else filters * height * width * words * 4,
        float_bytes=0 if weights_counted else filters * per_channel,
        operators=2,
    )


def _float_weights(layer: tf.keras.layers.Layer, node: Any, own: dict, parameters: int) -> PlannedLayer:
    kernels = [weight for weight in layer.weights if "bias" not in weight.name.split("/")[-1]]
    kernel = tuple(kernels[0].shape) if isinstance(layer, _CONVOLUTIONS) else None
    positions = own["output_shape"]
    if isinstance(layer, L.Conv2DTranspose) and kernel:
        kernel = (*kernel[:2], kernel[3], kernel[2])
        positions = tuple(tf.nest.flatten(node.input_tensors)[0].shape[1:])  # each one is spread by the kernel
    bias_bytes = 0 if layer.use_bias or not parameters else _FLOAT_BYTES * own["output_shape"][-1]
    return PlannedLayer(
        **own,
        what=_described(layer, kernel),
        deployed_as=FLOAT,
        why=_why_float(layer),
        kernel=kernel,
        float_macs=_pixels(positions) * sum(math.prod(weight.shape) for weight in kernels),
        float_bytes=parameters + bias_bytes,  # the file's operator has a bias even if the layer has none
        operators=len(kernels),
    )


def _why_float(layer: tf.keras.layers.Layer) -> str:
    if not isinstance(getattr(layer, "input_quantizer", None), SIGNS):
        return "its input is float"
    if isinstance(layer, L.Dense):
        return "LCE has no binary dense operator; a 1×1 convolution does the same"
    if not isinstance(layer, lq.layers.QuantConv2D):
        return f"LCE has no binary operator for {type(layer).__name__}"
    return "its kernel is not binary"


def _described(layer: tf.keras.layers.Layer, kernel: tuple[int, ...] | None) -> str:
    text = type(layer).__name__
    if kernel is None:
        return text
    text = f"{text} {kernel[0]}×{kernel[1]}"
    return f"{text} stride {layer.strides[0]}" if layer.strides[0] > 1 else text


def _pixels(shape: tuple[int | None, ...]) -> int:
    """Positions of a map (height, width, channels), 1 of a vector; 0 where a size is left open."""
    return 0 if None in shape[:-1] else math.prod(size or 0 for size in shape[:-1])


def _children(node: Any, graph_nodes: set[int]) -> list:
    return [child for child in node.layer._outbound_nodes if id(child) in graph_nodes and node in child.parent_nodes]


def _only_parent(node: Any, graph_nodes: set[int]) -> Any:
    """The node in front, if nothing else takes its output."""
    parents = list(node.parent_nodes)
    if len(parents) == 1 and id(parents[0]) in graph_nodes and len(_children(parents[0], graph_nodes)) == 1:
        return parents[0]
    return None


def _fuses_into_convolution(node: Any, graph_nodes: set[int]) -> bool:
    parent = _only_parent(node, graph_nodes)
    if parent is not None and _is_activation(parent.layer):
        parent = _only_parent(parent, graph_nodes)
        return parent is not None and is_binary(parent.layer)
    if parent is None or not isinstance(parent.layer, _WEIGHTED):
        return False
    return is_binary(parent.layer) or parent.layer.activation is tf.keras.activations.linear


def _fused_activation(node: Any, graph_nodes: set[int]) -> bool:
    parent = _only_parent(node, graph_nodes)
    if parent is None:
        return False
    if is_binary(parent.layer):
        return not (parent.layer.padding == "same" and parent.layer.pad_values != 1.0)
    if isinstance(parent.layer, L.BatchNormalization):
        parent = _only_parent(parent, graph_nodes)
        return parent is not None and isinstance(parent.layer, _WEIGHTED) and not is_binary(parent.layer)
    return isinstance(parent.layer, (*_WEIGHTED, L.Add))


def _is_late_activation(layer: tf.keras.layers.Layer, node: Any, graph_nodes: set[int]) -> bool:
    norm = _only_parent(node, graph_nodes) if _is_activation(layer) else None
    if norm is None or not isinstance(norm.layer, L.BatchNormalization):
        return False
    convolution = _only_parent(norm, graph_nodes)
    return convolution is not None and is_binary(convolution.layer)


def _is_activation(layer: tf.keras.layers.Layer) -> bool:
    relu = isinstance(layer, L.Activation) and layer.activation is tf.keras.activations.relu
    return relu or isinstance(layer, L.ReLU)


def _feeds_only_a_sign(node: Any, graph_nodes: set[int]) -> bool:
    children = _children(node, graph_nodes)
    while len(children) == 1 and (
        isinstance(children[0].layer, L.BatchNormalization) or _is_activation(children[0].layer)
    ):
        children = _children(children[0], graph_nodes)
    return len(children) == 1 and is_binary(children[0].layer)
