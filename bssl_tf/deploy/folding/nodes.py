"""The operators of a network that folding supports, as a graph of plain objects.

Every node computes one tensor, channels last, from those of its inputs. Kinds differ in what they do to a constant
that is added to an input, one number a channel:

- `Convolution` of floats without padding, `Sum`, `Concatenation` and `Pool` let it *pass*: it comes out as another one;
- `Shift` and `Scale` are per channel themselves;
- everything else *needs its input as it is*: signs, activations, convolutions that pad with zeros, unknown layers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf

CONVOLUTION, DEPTHWISE, DENSE = "convolution", "depthwise", "dense"


@dataclass(eq=False)
class Node:
    """A tensor and how it is made.

    Attributes:
        name: of the layer that it came from.
        inputs: the nodes it is made from.
        channels: size of the last axis.
    """

    name: str
    inputs: list["Node"]
    channels: int

    @property
    def passes_constants(self) -> bool:
        """Whether a constant, one number a channel, of an input comes out as another one."""
        return False

    def compute(self, *tensors: tf.Tensor) -> tf.Tensor:
        """The tensor, of those of the inputs; of every kind but `Pixels`, which are given."""
        raise NotImplementedError


@dataclass(eq=False)
class Pixels(Node):
    """The input of the network."""


@dataclass(eq=False)
class PassingNode(Node):
    """A node that lets constants pass."""

    @property
    def passes_constants(self) -> bool:
        return True


@dataclass(eq=False, kw_only=True)
class Shift(PassingNode):
    """Adds `amount` (channels,); `subtracts`: the layer it came from subtracts ``-amount``."""

    amount: np.ndarray
    subtracts: bool = False

    def compute(self, x: tf.Tensor) -> tf.Tensor:
        return x + _constant(self.amount)


@dataclass(eq=False, kw_only=True)
class Scale(PassingNode):
    """Multiplies by `factor` (channels,)."""

    factor: np.ndarray

    def compute(self, x: tf.Tensor) -> tf.Tensor:
        return x * _constant(self.factor)


@dataclass(eq=False)
class Sum(PassingNode):
    """Adds tensors of one shape."""

    def compute(self, *tensors: tf.Tensor) -> tf.Tensor:
        total = tensors[0]
        for tensor in tensors[1:]:
            total = total + tensor
        return total


@dataclass(eq=False)
class Concatenation(PassingNode):
    """Joins tensors along the channels."""

    def compute(self, *tensors: tf.Tensor) -> tf.Tensor:
        return tf.concat(tensors, -1)


@dataclass(eq=False, kw_only=True)
class Pool(PassingNode):
    """Mean or maximum over positions, without padding or with padding that does not count.

    Attributes:
        pool: the operation.
        takes_maximum: whether it is a maximum, through which no negative factor may be moved.
    """

    pool: Callable[[tf.Tensor], tf.Tensor]
    takes_maximum: bool = False

    def compute(self, x: tf.Tensor) -> tf.Tensor:
        return self.pool(x)


@dataclass(eq=False)
class Relu(Node):
    """``max(x, 0)``."""

    def compute(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(x)


@dataclass(eq=False, kw_only=True)
class Prelu(Node):
    """``x`` where it is positive, ``slope * x`` elsewhere; slope (channels,)."""

    slope: np.ndarray

    def compute(self, x: tf.Tensor) -> tf.Tensor:
        negative_slope = _constant(-self.slope.reshape([1] * (x.shape.rank - 2) + [-1]))
        return tf.nn.relu(x) + negative_slope * tf.nn.relu(-x)  # TensorFlow Lite recognises PRELU by this very form


@dataclass(eq=False, kw_only=True)
class Opaque(Node):
    """An unsupported layer, called as it is."""

    call: Callable[..., tf.Tensor]

    def compute(self, *tensors: tf.Tensor) -> tf.Tensor:
        return self.call(*tensors)


@dataclass(eq=False, kw_only=True)
class Convolution(Node):
    """``multiplier * relu(kernel ∗ x) + bias``, the one kind of node that can take in constants and factors.

    Attributes:
        kind: `CONVOLUTION`, kernel (height, width, channels, filters); `DEPTHWISE`, kernel (height, width, channels,
            multiples); or `DENSE`, kernel (channels, units).
        kernel: ±1 where `binary`, else any float.
        multiplier, bias: one number an output channel. Only a binary convolution has a multiplier other than 1.
        of_signs: whether it is the signs of its input that are convolved.
        binary: whether signs and kernel are ±1, so that the engine has its operator for it.
        rectified: whether there is the ReLU; only in binary convolutions.
        padding: TensorFlow's, SAME or VALID.
        margins: from a tensor to what is padded with `pad_value` before, or None.
        strides, dilations: of height and width.
    """

    kind: str = CONVOLUTION
    kernel: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray = field(init=False)
    of_signs: bool = False
    binary: bool = False
    rectified: bool = False
    padding: str = "VALID"
    margins: Callable[[tf.Tensor], Any] | None = None
    pad_value: float = 0.0
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        self.multiplier = np.ones(self.channels)

    @property
    def is_linear(self) -> bool:
        """Whether a factor of the input is one of the kernel: no sign in between, and no border but of zeros."""
        return not self.of_signs and not self.pad_value

    @property
    def passes_constants(self) -> bool:
        """Whether a constant of the input is one of the output: no sign in between, and no border at all."""
        pads = self.margins is not None or (self.padding == "SAME" and self.kernel.shape[:2] != (1, 1))
        return not self.of_signs and not pads

    def compute(self, x: tf.Tensor) -> tf.Tensor:
        if self.of_signs:
            x = lq.math.sign(x)
        if self.margins is not None:
            x = tf.pad(x, self.margins(x), constant_values=self.pad_value)
        x = self._convolve(x, _constant(self.kernel))
        if self.rectified:
            x = tf.nn.relu(x)
        if np.any(self.multiplier != 1):
            x = x * _constant(self.multiplier)
        return x + _constant(self.bias) if np.any(self.bias != 0) else x

    def _convolve(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        if self.kind == DENSE:
            return tf.matmul(x, kernel)
        if self.kind == DEPTHWISE:
            return tf.nn.depthwise_conv2d(x, kernel, [1, *self.strides, 1], self.padding, dilations=self.dilations)
        return tf.nn.conv2d(x, kernel, self.strides, self.padding, dilations=self.dilations)

    def multiply(self, factor: np.ndarray) -> None:
        """Multiply the output by `factor` (channels,)."""
        self.bias = self.bias * factor
        if self.binary:
            self.multiplier = self.multiplier * factor
        else:
            self.kernel = self.kernel * (factor.reshape(self.kernel.shape[2:]) if self.kind == DEPTHWISE else factor)

    def multiply_input(self, factor: np.ndarray) -> None:
        """Have the convolution do what it did to ``factor * x``; `factor` (input channels,), `is_linear`."""
        self.kernel = self.kernel * factor[:, None]

    def of_constant(self, constant: np.ndarray) -> np.ndarray:
        """What a constant (input channels,) of the input adds to the output; (channels,)."""
        if self.kind == DENSE:
            return constant @ self.kernel
        area = self.kernel.sum((0, 1))
        return (constant[:, None] * area).ravel() if self.kind == DEPTHWISE else constant @ area


def _constant(values: np.ndarray) -> tf.Tensor:
    return tf.constant(np.asarray(values, np.float32))


def in_order(output: Node) -> list[Node]:
    """All nodes that `output` is made from, and itself, each after its inputs."""
    ordered: dict[Node, None] = {}
    waiting: list[tuple[Node, Iterator[Node]]] = [(output, iter(output.inputs))]
    while waiting:
        node, inputs = waiting[-1]
        following = next((other for other in inputs if other not in ordered), None)
        if following is None:
            ordered[node] = None
            waiting.pop()
        else:
            waiting.append((following, iter(following.inputs)))
    return list(ordered)


def consumers(output: Node) -> dict[Node, list[Node]]:
    """Who takes each node's tensor; a node that takes it twice stands there twice."""
    found: dict[Node, list[Node]] = {node: [] for node in in_order(output)}
    for node in found:
        for other in node.inputs:
            found[other].append(node)
    return found
