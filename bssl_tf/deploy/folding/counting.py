"""What folding saves, counted on the graph of `nodes`: converting the unfolded network as well takes most of the time.

Folding changes the number of elementwise operators only. The converter has merges of its own, which both networks get,
and which are followed here:

- additions and factors behind a convolution that nobody else takes become part of it;
- so does a ReLU; behind any sum or product it is part of that operator;
- behind the ReLU of a binary convolution additions and factors still become part of it, where none came before;
- one factor for a single channel becomes part of the convolution that takes it.

`tests/deploy/test_counting.py` compares with the converter.
"""

from collections import Counter

import numpy as np

from bssl_tf.deploy.folding.nodes import Convolution, Node, Opaque, Relu, Scale, Shift, Sum, consumers, in_order


def elementwise_operators(output: Node) -> Counter[str] | None:
    """Sums, products and ReLUs that are operators of their own; None where only the converter can tell."""
    users, counts = consumers(output), Counter[str]()
    takes_more: dict[Node, bool] = {}  # node → whether the convolution that it is part of can take in what follows
    for node in in_order(output):
        source = next(iter(node.inputs), node)
        into_source = takes_more.get(source, False) and len(users[source]) == 1
        takes_more[node] = isinstance(node, Convolution)
        if isinstance(node, Opaque):
            return None
        if isinstance(node, (Shift, Scale)):
            takes_more[node] = into_source
            if into_source or _does_nothing(node) or _becomes_kernel(node, users[node]):
                continue
            if _may_be_joined(node, source) and len(users[source]) == 1:
                return None
            counts[_kind(node)] += 1
        elif isinstance(node, Relu):
            takes_more[node] = into_source and isinstance(source, Convolution) and source.binary
            if not into_source and not (isinstance(source, (Sum, Shift, Scale)) and len(users[source]) == 1):
                counts["RELU"] += 1
        elif isinstance(node, Sum):
            counts["ADD"] += len(node.inputs) - 1
    return counts


def _becomes_kernel(node: Shift | Scale, takers: list[Node]) -> bool:
    of_floats = all(isinstance(taker, Convolution) and taker.is_linear for taker in takers)
    return isinstance(node, Scale) and node.channels == 1 and len(takers) == 1 and of_floats


def _does_nothing(node: Shift | Scale) -> bool:
    return not np.any(node.amount) if isinstance(node, Shift) else bool(np.all(node.factor == 1))


def _may_be_joined(node: Shift | Scale, source: Node) -> bool:
    """Two constants in a row, of which the converter may make one."""
    if isinstance(node, Shift):
        return isinstance(source, Shift)
    return isinstance(source, Scale) or (isinstance(source, Shift) and not source.subtracts)


def _kind(node: Shift | Scale) -> str:
    if isinstance(node, Scale):
        return "MUL"
    return "SUB" if node.subtracts else "ADD"
