"""Constants, one number a channel, move to where they cost nothing.

Every tensor of the network is seen as a *computed* tensor plus a constant that is owed: true = computed + owed. All
shifts are taken out of the graph, and what they would have added is owed from then on. Convolutions can add anything
to what they compute, for free, in their bias: it is owed with the opposite sign behind them. Sums, concatenations and
pools pass on what is owed, and a float convolution without padding takes all of it into its bias.

Where a tensor is needed as it is (see `nodes`), nothing may be owed. In the order of the graph each such place is
*settled*: the constant goes back to convolutions that are still free to take it. A shift is put in only where there is
none, because activations lie in between or because the convolution has settled another place. The newest convolution
takes it, as fewest other tensors depend on it.
"""

import numpy as np

from bssl_tf.deploy.folding.nodes import Concatenation, Convolution, Node, Scale, Shift, Sum, in_order

_ROUNDING = 1e-10


def move_constants(output: Node) -> Node:
    """Take out all shifts that are not needed; biases of the convolutions change. Returns the new output."""
    return _Mover(output).moved()


def _is_nothing(owed: np.ndarray) -> bool:
    return bool(np.all(np.abs(owed) <= _ROUNDING))


class _Mover:
    """The state of one run: what was added to each convolution, and which of them may take no more."""

    def __init__(self, output: Node) -> None:
        self._output = output
        self._order = in_order(output)
        self._age = {node: position for position, node in enumerate(self._order)}
        self._added = {node: np.zeros(node.channels) for node in self._order if isinstance(node, Convolution)}
        self._fixed: set[Node] = set()
        self._shifts: dict[tuple[Node, bytes], Shift] = {}

    def moved(self) -> Node:
        settled: dict[Node, list[Node]] = {}
        for node in self._order:
            if not node.passes_constants:
                settled[node] = [self._settle(source) for source in node.inputs]
        output = self._settle(self._output)
        biases = {node: node.bias + added for node, added in self._added.items()}
        for node in biases:
            if node.passes_constants:
                biases[node] = biases[node] + node.of_constant(self._owed(node.inputs[0]))
        for node in self._order:
            node.inputs = settled.get(node) or [self._computed(source) for source in node.inputs]
            if isinstance(node, Convolution):
                node.bias = biases[node]
        return output

    def _computed(self, node: Node) -> Node:
        while isinstance(node, Shift):
            node = node.inputs[0]
        return node

    def _owed(self, node: Node, known: dict[Node, np.ndarray] | None = None) -> np.ndarray:
        """What has to be added to the computed tensor, (channels,)."""
        known = {} if known is None else known
        if node in known:
            return known[node]
        if isinstance(node, Convolution):
            owed = -self._added[node]
        elif not node.passes_constants:
            owed = np.zeros(node.channels)
        else:
            parts = [self._owed(source, known) for source in node.inputs]
            owed = np.concatenate(parts) if isinstance(node, Concatenation) else np.sum(parts, axis=0)
            if isinstance(node, Shift):
                owed = owed + node.amount
            elif isinstance(node, Scale):
                owed = owed * node.factor
        known[node] = owed
        return owed

    def _settle(self, node: Node) -> Node:
        """The computed tensor that is the true one: its own, with biases changed, or that of a new shift."""
        owed = self._owed(node)
        if _is_nothing(owed) or self._absorbed(node, owed):
            self._fix(node)
            return self._computed(node)
        computed = self._computed(node)
        self._fix(node)
        key = computed, np.round(owed, 9).tobytes()
        return self._shifts.setdefault(key, Shift(f"{node.name}_shift", [computed], node.channels, amount=owed))

    def _absorbed(self, node: Node, amount: np.ndarray) -> bool:
        """Have convolutions add the amount, if that leaves nothing owed: one that is reached twice would."""
        plan = self._plan(node, amount)
        if plan is None:
            return False
        before = {convolution: self._added[convolution] for convolution, _ in plan}
        for convolution, part in plan:
            self._added[convolution] = self._added[convolution] + part
        if _is_nothing(self._owed(node)):
            return True
        self._added.update(before)
        return False

    def _plan(self, node: Node, amount: np.ndarray) -> list[tuple[Convolution, np.ndarray]] | None:
        """Which convolutions would have to add what; None if there is no such way."""
        if isinstance(node, Convolution):
            return None if node in self._fixed else [(node, amount)]
        if not node.passes_constants or isinstance(node, Scale):
            return None
        if isinstance(node, Sum):
            newest_first = sorted(node.inputs, key=lambda source: self._age[source], reverse=True)
            ways = (self._plan(source, amount) for source in newest_first)
            return next((way for way in ways if way is not None), None)
        parts = np.split(amount, np.cumsum([source.channels for source in node.inputs])[:-1])
        plans: list[tuple[Convolution, np.ndarray]] = []
        for source, part in zip(node.inputs, parts, strict=True):
            plan = self._plan(source, part)
            if plan is None:
                return None
            plans += plan
        return plans

    def _fix(self, node: Node) -> None:
        """What has been settled may not change any more."""
        waiting, seen = [node], set()
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if isinstance(node, Convolution):
                self._fixed.add(node)
            elif node.passes_constants:
                waiting += node.inputs
