"""What keeps a network from running as fast binary kernels: a finding for all layers that share a weakness.

Findings have three levels:

=========== ================================================================================================
problem     the engine is kept from its fast path, and a small change to the network mends it
note        it costs something that is worth knowing; often the price of a good network
by design   float work that every binary network has: what reads pixels, and what is between convolutions
=========== ================================================================================================
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from bssl_tf.deploy.analysis.plan_layers import LATE_ACTIVATION, NOTHING_TO_FUSE_INTO, PlannedLayer

LEVELS = ("problem", "note", "by design")

_REGISTER_BITS = 128
_WASTE_WORTH_TELLING = 0.2
_MOST_PIXEL_CHANNELS = 4


@dataclass(frozen=True)
class Finding:
    """Layers that share a weakness.

    Attributes:
        level: one of `LEVELS`.
        layers: those concerned; empty if it is the whole network.
        what: what the weakness is and what it leads to.
        change: what to change; empty where nothing is to be.
    """

    level: str
    layers: tuple[PlannedLayer, ...]
    what: str
    change: str = ""

    @property
    def sentence(self) -> str:
        """One line for plans and reports: the layers, what they are, what to change."""
        names = [layer.name for layer in self.layers]
        listed = ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"
        text = f"{self.what} {self.change}".strip()
        return f"{listed}: {text}" if names else text

    def total(self, attribute: str) -> int:
        """Sum of a number of its layers, such as "float_macs"."""
        return sum(getattr(layer, attribute) for layer in self.layers)


@dataclass(frozen=True)
class _Rule:
    level: str
    concerns: Callable[[PlannedLayer], bool]
    what: str
    change: str = ""


def findings_about(layers: tuple[PlannedLayer, ...]) -> tuple[Finding, ...]:
    """All findings on the layers of a plan, most important first."""
    found = []
    if not any(layer.binary for layer in layers):
        text = "This network has no binary convolution, so it gains nothing from the engine."
        found.append(Finding("problem", (), text, "Quantize inputs and kernels of its convolutions (QuantConv2D)."))
    for rule in _RULES:
        concerned = tuple(layer for layer in layers if rule.concerns(layer))
        if concerned:
            found.append(Finding(rule.level, concerned, rule.what, rule.change))
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def _kernel(layer: PlannedLayer) -> tuple[int, int, int, int]:
    """Of a layer that has one."""
    if layer.kernel is None:
        raise ValueError(f"{layer.name} has no kernel.")
    return layer.kernel


def _idle_share(layer: PlannedLayer) -> float:
    """Share of a 128-bit register's lanes that stay idle over one window of the kernel."""
    bits = math.prod(_kernel(layer)[:3])
    return 1 - bits / (-(-bits // _REGISTER_BITS) * _REGISTER_BITS)


def _has_no_operator(layer: PlannedLayer) -> bool:
    return "no binary operator for" in layer.why or "no binary dense" in layer.why


def _is_float_convolution(layer: PlannedLayer) -> bool:
    return not layer.binary and layer.kernel is not None and not _has_no_operator(layer)


def _reads_pixels(layer: PlannedLayer) -> bool:
    return _kernel(layer)[2] <= _MOST_PIXEL_CHANNELS


def _is_pointwise(layer: PlannedLayer) -> bool:
    return _kernel(layer)[:2] == (1, 1)


def _is_depthwise(layer: PlannedLayer) -> bool:
    return "Depthwise" in layer.what


def _is_dense(layer: PlannedLayer) -> bool:
    return not layer.binary and layer.kernel is None and layer.float_macs > 0 and not _has_no_operator(layer)


def _is_small_float_operator(layer: PlannedLayer) -> bool:
    told_elsewhere = layer.kernel is not None or layer.why in (LATE_ACTIVATION, NOTHING_TO_FUSE_INTO)
    return layer.operators > 0 and not layer.float_macs and not told_elsewhere


_RULES = (
    _Rule(
        "problem",
        lambda layer: layer.binary and layer.zero_padded,
        "zero padding on a binary convolution, where zero is no sign. It blocks fusion and costs a correction.",
        "Pad with one (pad_values=1.0).",
    ),
    _Rule(
        "problem",
        lambda layer: layer.binary and _kernel(layer)[2] % 32 != 0,
        "input channels are not a multiple of 32, the bits of a word, so part of each word is computed for nothing.",
        "Multiples of 32 suit (--student_width).",
    ),
    _Rule(
        "problem",
        lambda layer: layer.binary and _kernel(layer)[3] % 8 != 0,
        "output channels are not a multiple of 8, the block that the ARM kernels work in.",
        "Multiples of 8 suit (--student_width).",
    ),
    _Rule(
        "problem",
        lambda layer: not layer.binary and _has_no_operator(layer),
        "quantized, but the engine has no binary operator for this kind of layer, so it runs in float with float "
        "weights in the file.",
        "An ordinary or 1×1 binary convolution would not.",
    ),
    _Rule(
        "problem",
        lambda layer: layer.why == LATE_ACTIVATION,
        "an activation behind the batch norm of a binary convolution, which runs as an operator of its own.",
        "Put it between the convolution and the batch norm, where it fuses.",
    ),
    _Rule(
        "note",
        lambda layer: layer.binary and "stage 2" in layer.why,
        "float kernels on binary inputs. This is a stage 1 network; it deploys as the binary one of stage 2, which "
        "is what the plan counts.",
    ),
    _Rule(
        "note",
        lambda layer: layer.binary and _kernel(layer)[2] % 32 == 0 and _idle_share(layer) >= _WASTE_WORTH_TELLING,
        "kernel area × input channels is far from a multiple of 128, the bits of a register, so a fifth of the lanes "
        "or more stays idle.",
        "Costs little in small layers; wider ones use them fully (--student_width).",
    ),
    _Rule(
        "note",
        lambda layer: layer.why == NOTHING_TO_FUSE_INTO,
        "a batch norm that has no convolution right in front, so that it runs as a multiplication and an addition.",
        "Behind a convolution whose output nothing else takes it costs nothing.",
    ),
    _Rule(
        "note",
        lambda layer: _is_float_convolution(layer) and _is_pointwise(layer),
        "a float 1×1 convolution, which takes 32 times the bytes of a binary one.",
        "Where accuracy allows, quantize its input and kernel.",
    ),
    _Rule(
        "note",
        lambda layer: (
            _is_float_convolution(layer) and not (_is_pointwise(layer) or _is_depthwise(layer) or _reads_pixels(layer))
        ),
        "a float convolution behind the first one, which takes 32 times the bytes of a binary one.",
        "Quantize its input and kernel (QuantConv2D with two sign quantizers).",
    ),
    _Rule(
        "note",
        _is_dense,
        "a float dense layer.",
        "Narrow features, or a binary 1×1 convolution in front of the pooling, keep the file small.",
    ),
    _Rule(
        "by design",
        lambda layer: _is_float_convolution(layer) and _reads_pixels(layer) and not _is_pointwise(layer),
        "a float convolution that reads pixels, which are no signs.",
    ),
    _Rule(
        "by design",
        lambda layer: (
            _is_float_convolution(layer) and _is_depthwise(layer) and not (_reads_pixels(layer) or _is_pointwise(layer))
        ),
        "a float depthwise convolution: few weights, one window a channel.",
    ),
    _Rule(
        "by design",
        _is_small_float_operator,
        "float operators between the convolutions (additions, biases, activations, pools).",
    ),
)
