"""Factors and batch norms go into the convolutions that make their input, or that take their output."""

import numpy as np

from bssl_tf.deploy.folding.nodes import Convolution, Node, Pool, Prelu, Relu, Scale, Shift, consumers, in_order

Users = dict[Node, list[Node]]


def merge_factors(output: Node) -> Node:
    """Fold what follows a convolution into it, and all factors where that is possible.

    - Shifts right behind a convolution become its bias.
    - A ReLU between a binary convolution and its batch norm is done by the convolution.
    - A factor goes back into the convolution that makes its input, through whatever commutes with it: activations
      and maxima let positive ones pass, pools any, shifts are multiplied too.
    - A factor right in front of float convolutions goes into their kernels.

    Whatever is changed may be needed by nobody else; else it stays as it is.

    Returns:
        The new output.
    """
    for node in in_order(output):
        users = consumers(output)
        if _merge(node, users):
            output = _bypass(node, output, users)
    return output


def _merge(node: Node, users: Users) -> bool:
    if isinstance(node, Shift):
        return _merge_shift(node, users)
    if isinstance(node, Relu):
        return _merge_relu(node, users)
    return isinstance(node, Scale) and _merge_scale(node, users)


def _bypass(node: Node, output: Node, users: Users) -> Node:
    """Let those who took `node` take its input."""
    (source,) = node.inputs
    for user in users[node]:
        user.inputs = [source if other is node else other for other in user.inputs]
    return source if node is output else output


def _merge_shift(node: Shift, users: Users) -> bool:
    (source,) = node.inputs
    if not isinstance(source, Convolution) or len(users[source]) > 1:
        return False
    source.bias = source.bias + node.amount
    return True


def _merge_relu(node: Relu, users: Users) -> bool:
    (source,) = node.inputs
    if not isinstance(source, Convolution) or not source.binary or source.rectified or len(users[source]) > 1:
        return False
    if np.any(source.bias) or np.any(source.multiplier < 0):
        return False
    source.rectified = True
    return True


def _merge_scale(node: Scale, users: Users) -> bool:
    return _into_source(node, users) or _into_consumers(node, users)


def _into_source(node: Scale, users: Users) -> bool:
    path, source = [], node.inputs[0]
    while len(users[source]) == 1 and isinstance(source, (Shift, Relu, Prelu, Pool)):
        path.append(source)
        source = source.inputs[0]
    only_positive = any(isinstance(step, (Relu, Prelu)) or getattr(step, "takes_maximum", False) for step in path)
    if not isinstance(source, Convolution) or len(users[source]) > 1 or (only_positive and np.any(node.factor <= 0)):
        return False
    source.multiply(node.factor)
    for step in path:
        if isinstance(step, Shift):
            step.amount = step.amount * node.factor
    return True


def _into_consumers(node: Scale, users: Users) -> bool:
    takers = [taker for taker in users[node] if isinstance(taker, Convolution) and taker.is_linear]
    if not takers or len(takers) < len(users[node]):
        return False
    for taker in takers:
        taker.multiply_input(node.factor)
    return True
