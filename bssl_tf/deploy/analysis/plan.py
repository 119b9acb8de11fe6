"""What a network will be on the device, before any training.

    plan = deployment_plan(backbone)
    print(plan.render())

Larq Compute Engine (LCE) runs a convolution in binary (``LceBconv2d``) where both its input and its kernel
are signs. Everything else stays float. A batch norm right behind a convolution costs no operator of its own.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from bssl_tf.deploy.analysis.lint_rules import Finding, findings_about
from bssl_tf.deploy.analysis.plan_layers import PlannedLayer, plan_layers

# Operators, tensors and their names, fitted to converted networks of 13 to 190 operators.
_STRUCTURE_BYTES = 950
_STRUCTURE_BYTES_PER_OPERATOR = 249


@dataclass(frozen=True)
class DeploymentPlan:
    """Projection of a network on the device.

    Attributes:
        name: the network's.
        input_shape, output_shape: without the batch; sizes that are left open are None.
        layers: all layers that compute something.
        findings: what keeps it from running as fast binary kernels, most important first.
    """

    name: str
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    layers: tuple[PlannedLayer, ...]
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could be better, in plain words, one sentence for all layers that share a weakness."""
        return tuple(finding.sentence for finding in self.findings if finding.level != "by design")

    def _sum(self, attribute: str) -> int:
        return sum(getattr(layer, attribute) for layer in self.layers)

    @property
    def is_open(self) -> bool:
        """Whether sizes of feature maps are left open, so that multiply-accumulates cannot be counted."""
        return any(None in layer.output_shape for layer in self.layers)

    @property
    def binary_convolutions(self) -> int:
        return sum(layer.binary for layer in self.layers)

    @property
    def binary_macs(self) -> int:
        return self._sum("binary_macs")

    @property
    def float_macs(self) -> int:
        return self._sum("float_macs")

    @property
    def binary_weight_bytes(self) -> int:
        return self._sum("binary_weight_bytes")

    @property
    def float_bytes(self) -> int:
        return self._sum("float_bytes")

    @property
    def structure_bytes(self) -> int:
        """Estimate of what the file takes for anything but constants."""
        return _STRUCTURE_BYTES + _STRUCTURE_BYTES_PER_OPERATOR * self._sum("operators")

    @property
    def file_bytes(self) -> int:
        """Projected size of the .tflite file."""
        return self.binary_weight_bytes + self.float_bytes + self.structure_bytes

    def as_dict(self) -> dict:
        return {
            "binary_convolutions": self.binary_convolutions,
            "binary_macs": self.binary_macs,
            "float_macs": self.float_macs,
            "binary_weight_bytes": self.binary_weight_bytes,
            "float_bytes": self.float_bytes,
            "structure_bytes": self.structure_bytes,
            "file_bytes": self.file_bytes,
            "warnings": list(self.warnings),
        }

    def render(self) -> str:
        """The plan as a text of a few dozen lines: alike layers share a line."""
        shape = "×".join("?" if size is None else str(size) for size in self.input_shape)
        width = "×".join(map(str, self.output_shape))
        lines = [f"Deployment plan of {self.name}: {shape} pixels → {width} features", "", *self._table(), ""]
        macs = f"{count_text(self.binary_macs)} binary and {count_text(self.float_macs)} float multiply-accumulates"
        lines.append(
            f"Total: {self.binary_convolutions} binary convolutions, {OPEN if self.is_open else macs}; file about"
            f" {bytes_text(self.file_bytes)} ({bytes_text(self.binary_weight_bytes)} binary weights,"
            f" {bytes_text(self.float_bytes)} float, {bytes_text(self.structure_bytes)} structure)."
        )
        lines += [f"Note: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _table(self) -> list[str]:
        rows: list[tuple[str, ...]] = [("layers", "output", "on the device", "binary MACs", "float MACs", "bytes")]
        for layer, count in _grouped(self.layers):
            rows.append(
                (
                    f"{count} × {layer.what}" if count > 1 else layer.what,
                    "×".join("?" if size is None else str(size) for size in layer.output_shape),
                    layer.deployed_as,
                    count_text(layer.binary_macs) if layer.binary_macs else "",
                    count_text(layer.float_macs) if layer.float_macs else "",
                    bytes_text(layer.binary_weight_bytes + layer.float_bytes),
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        rows.insert(1, tuple("-" * width for width in widths))
        aligned = (
            [
                text.ljust(width) if column < 3 else text.rjust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            for row in rows
        )
        return ["  ".join(row).rstrip() for row in aligned]


def deployment_plan(model: tf.keras.Model) -> DeploymentPlan:
    """Project what Larq Compute Engine will make of a network.

    Args:
        model: functional backbone, trained or not; the size of its images may be open: layers whose maps are then of
            unknown size count 0 multiply-accumulates, see `DeploymentPlan.is_open`.
    """
    layers = plan_layers(model)
    return DeploymentPlan(
        name=model.name,
        input_shape=tuple(model.input_shape[1:]),
        output_shape=tuple(model.output_shape[1:]),
        layers=layers,
        findings=findings_about(layers),
    )


def _grouped(layers: tuple[PlannedLayer, ...]) -> list[tuple[PlannedLayer, int]]:
    """Layers of one line each: convolutions by shape, small layers by kind; numbers are sums."""
    groups: dict[tuple, PlannedLayer] = {}
    counts: Counter = Counter()
    for layer in layers:
        heavy = layer.binary_macs or layer.float_macs
        key = (layer.what, layer.deployed_as, layer.output_shape if heavy else None)
        counts[key] += 1
        first = groups.get(key)
        if first is None:
            groups[key] = layer
            continue
        sums = {
            name: getattr(first, name) + getattr(layer, name)
            for name in ("binary_macs", "float_macs", "binary_weight_bytes", "float_bytes")
        }
        shape = first.output_shape if first.output_shape == layer.output_shape else VARIOUS
        groups[key] = replace(first, output_shape=shape, **sums)
    return [(layer, counts[key]) for key, layer in groups.items()]


OPEN = "multiply-accumulates not counted, as sizes are left open"
VARIOUS: Any = ("various",)
"""Shown in place of a shape."""


def count_text(number: int) -> str:
    """1234567 → 1.23 M."""
    if number < 1000:
        return str(number)
    value, units = number / 1000, ["k", "M", "G", "T"]
    while value >= 999.5 and len(units) > 1:  # it would be rounded to 1000
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}" if value < 999.5 else f"{value:.0f} {units[0]}"


def bytes_text(number: int) -> str:
    """1234567 → 1.23 MB; units of a thousand."""
    text = count_text(number)
    return f"{text}B" if " " in text else f"{text} B"
