"""Finds the layers of a functional model's configuration that never get their inputs.

Keras calls layer after layer, puts those aside whose inputs are not there yet, and begins again: without end where a
layer waits for its own output, or for one that nobody makes.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from bssl_tf.models.keras_import.allowed_names import CONTAINERS

_CONSTANT = "_CONSTANT_VALUE"


def layers_without_inputs(layers: list[dict[str, Any]]) -> list[str]:
    """Names of layers that cannot be called, in the order of the configuration.

    Args:
        layers: those of a functional model, each with "name" and "inbound_nodes": a list with an entry a call, which
            holds references [name of a layer, number of its call, number of its output, further arguments].
    """
    named = {str(layer.get("name")): layer for layer in layers}
    calls = {name: _calls(layer) for name, layer in named.items()}
    inputs = {name for name, layer in named.items() if layer["class_name"] == "InputLayer"}
    first = {name: int(_has_a_call_of_its_own(layer)) for name, layer in named.items()}
    made: dict[str, int] = defaultdict(int)
    waiting: dict[str, set[str]] = defaultdict(set)
    to_visit = deque(calls)
    while to_visit:
        name = to_visit.popleft()
        while made[name] < len(calls[name]):
            missing = next(
                (
                    other
                    for other, number in _references(calls[name][made[name]])
                    if other not in inputs and not first.get(other, 0) <= number < first.get(other, 0) + made[other]
                ),
                None,
            )
            if missing is not None:
                waiting[missing].add(name)
                break
            made[name] += 1
            to_visit.extend(waiting.pop(name, ()))
    return [name for name in calls if made[name] < len(calls[name])]


def _calls(layer: dict[str, Any]) -> list[Any]:
    calls = layer.get("inbound_nodes")
    return calls if isinstance(calls, list) else []


def _has_a_call_of_its_own(layer: dict[str, Any]) -> bool:
    """Whether it is a model that knows its inputs: Keras counts that as its first call, which is not in the file."""
    inner = layer["config"].get("layers") if layer["class_name"] in CONTAINERS else None
    if not inner:
        return False  # a model without layers gives nothing to anyone
    return inner[0]["class_name"] == "InputLayer" or "batch_input_shape" in inner[0]["config"]


def _references(call: Any) -> Iterator[tuple[str, int]]:
    """Name of a layer and number of its call, of each output that a call takes."""
    if isinstance(call, dict):
        for entry in call.values():
            yield from _references(entry)
    elif isinstance(call, list) and len(call) >= 3 and isinstance(call[0], str) and isinstance(call[1], int):
        if call[0] != _CONSTANT:
            yield call[0], call[1]
        yield from _references(call[3:])
    elif isinstance(call, list):
        for entry in call:
            yield from _references(entry)
