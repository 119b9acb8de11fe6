"""Rewrites a trained network into one that computes the same with fewer operators.

    folded = fold(backbone)                  # any functional Keras model with one input and one output
    features = folded(pixels)                # as backbone(pixels, training=False), but for float rounding

`reading` turns the model into a graph of `nodes`; `merging` folds batch norms and factors (those of pixel normalisation
and of `magnitude_aware_sign` among them) into convolutions; `constants` moves biases to where they cost nothing.
Weights are constants then, binary ones ±1 as they are used.

**How few float elementwise operators a ReActNet needs.** A block has two halves, each of them:

    sign(x + a) → binary convolution → · g + h → + x → PReLU( · + b) + c

Three of its operators remain:

1. the sum with the shortcut (two of them where channels double and there are two branches);
2. the PReLU;
3. one shift in front of the next sign.

All other constants go: b, and what is owed on the shortcut, into h, which the binary convolution adds anyway; c and
the next half's a are merged into one shift. That one has to stay. The PReLU bends at the zero of the sum, and the next
sign switches, for a positive slope, at the zero of the sum plus a number of its own for each channel. Both need their
own zero, and no operator of TensorFlow Lite has both a slope and a shift.

The first half's shift goes into the stem, so a ReActNet of n halves keeps 3 n - 1 operators, and one more for each
doubling. Besides there are one for the mean of the pixels (the stem pads normalised pixels with zeros, so it cannot
go in there) and one on the feature vector, for the last c. ReActNet-A: n = 26, 5 doublings, 84 operators.
"""

import math
from collections import Counter

import tensorflow as tf

from bssl_tf.deploy.folding.constants import move_constants
from bssl_tf.deploy.folding.counting import elementwise_operators
from bssl_tf.deploy.folding.merging import merge_factors
from bssl_tf.deploy.folding.nodes import Convolution, Node, Pixels, Prelu, Scale, Shift, consumers, in_order
from bssl_tf.deploy.folding.reading import read

__all__ = ["FoldedNetwork", "fewest_bytes", "fold", "operators_unfolded"]


def fold(model: tf.keras.Model) -> "FoldedNetwork":
    """Fold a trained network; the model itself stays as it is.

    Args:
        model: functional, one input (None, …, channels) and one output.
    """
    output = read(model)
    unfolded = elementwise_operators(output)  # the graph is changed in place
    return FoldedNetwork(move_constants(merge_factors(output)), unfolded)


class FoldedNetwork:
    """A folded network as a function.

    Attributes:
        output: the graph, see `nodes`.
        unfolded: elementwise operators that the network had, see `counting`.
    """

    def __init__(self, output: Node, unfolded: Counter[str] | None = None):
        self.output, self.unfolded = output, unfolded

    def __call__(self, pixels: tf.Tensor) -> tf.Tensor:
        """What the model computes at inference.

        Args:
            pixels: float32, as the model takes them.
        """
        tensors: dict[Node, tf.Tensor] = {}
        for node in in_order(self.output):
            if isinstance(node, Pixels):
                tensors[node] = pixels
            else:
                with tf.name_scope(node.name.replace(".", "_")):
                    tensors[node] = node.compute(*(tensors[source] for source in node.inputs))
        return tensors[self.output]


def operators_unfolded(network: FoldedNetwork, operators: dict[str, int]) -> dict[str, int] | None:
    """Operators that the network's file would have without folding, most frequent first.

    Args:
        network: folded by `fold`.
        operators: those of its file, kind → count; the file may compute other outputs besides.

    Returns:
        Kind → count; None where only the converter can tell.
    """
    folded = elementwise_operators(network.output)
    if network.unfolded is None or folded is None:
        return None
    counts = Counter(operators)
    counts.update(network.unfolded)
    counts.subtract(folded)
    return dict((+counts).most_common())


def fewest_bytes(network: FoldedNetwork) -> int:
    """What the network's numbers take at the least, in bytes: a bit a binary weight, 4 bytes any other.

    A binary convolution has two numbers a channel, multiplier and bias, or one, a threshold, where only a sign takes
    its output. Weights of layers that folding does not support do not count.
    """
    users = consumers(network.output)
    bits = 0
    for node in in_order(network.output):
        if isinstance(node, Convolution):
            takers = users[node]
            only_signs = bool(takers) and all(isinstance(taker, Convolution) and taker.of_signs for taker in takers)
            per_channel = 2 if node.binary and not only_signs else 1
            bits += node.kernel.size * (1 if node.binary else 32) + 32 * per_channel * node.channels
        elif isinstance(node, (Prelu, Scale, Shift)):
            bits += 32 * node.channels
    return math.ceil(bits / 8)
