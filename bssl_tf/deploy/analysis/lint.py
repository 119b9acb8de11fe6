"""The deployability linter: which layers miss the engine's fast binary kernels, why, at which cost, what to change.

report = lint(model)                    # any Keras or Larq model, trained or not
print(report.render())
sys.exit(0 if report.ok() else 1)
"""

import textwrap
from collections import Counter
from dataclasses import dataclass

import tensorflow as tf

from bssl_tf.deploy.analysis.lint_rules import LEVELS, Finding
from bssl_tf.deploy.analysis.plan import DeploymentPlan, bytes_text, count_text, deployment_plan

_WIDTH = 112
_INDENT = " " * 11


@dataclass(frozen=True)
class LintReport:
    """What the linter has to say on a network; see `bssl_tf.deploy.analysis.lint_rules` for the levels."""

    plan: DeploymentPlan

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.plan.findings)

    def ok(self, strict: bool = False) -> bool:
        """No problem was found; with `strict`, no note either."""
        return self.count("problem") == 0 and not (strict and self.count("note"))

    def render(self) -> str:
        plan = self.plan
        shape = "×".join("?" if size is None else str(size) for size in plan.input_shape)
        macs = plan.binary_macs + plan.float_macs
        lines = [f"Deployability of {plan.name}, {shape} pixels"]
        lines += [line for finding in plan.findings for line in ("", *self._lines(finding))]
        work = f"do {_share(plan.binary_macs, macs)} of {count_text(macs)} multiply-accumulates"
        whole = f"{plan.binary_convolutions} binary convolutions{'' if plan.is_open else f' {work}'}"
        lines += ["", f"{whole}; file about {bytes_text(plan.file_bytes)}."]
        if plan.is_open:
            lines.append("The model leaves its image size open, so multiply-accumulates cannot be counted.")
        lines.append("Found: " + ", ".join(f"{self.count(level)} × {level}" for level in LEVELS) + ".")
        return "\n".join(lines)

    def _lines(self, finding: Finding) -> list[str]:
        head, *rest = textwrap.wrap(finding.what, _WIDTH - len(_INDENT))
        lines = [finding.level.upper().ljust(len(_INDENT)) + head, *(_INDENT + line for line in rest)]
        if finding.layers:
            lines += _entry("layers", _names(finding))
            lines += _entry("cost", self._cost(finding))
        if finding.change:
            lines += _entry("change", finding.change)
        return lines

    def _cost(self, finding: Finding) -> str:
        plan, size = self.plan, finding.total("binary_weight_bytes") + finding.total("float_bytes")
        parts = [f"{bytes_text(size)} ({_share(size, plan.file_bytes)} of the file)"]
        for kind, whole in (("float", plan.float_macs), ("binary", plan.binary_macs)):
            macs = finding.total(f"{kind}_macs")
            if macs and not plan.is_open:
                parts.append(f"{count_text(macs)} {kind} multiply-accumulates ({_share(macs, whole)} of them)")
        operators = finding.total("operators")
        return ", ".join([*parts, f"{operators} operator{'s' if operators != 1 else ''}"])


def lint(model: tf.keras.Model) -> LintReport:
    """Examine a functional or sequential Keras model."""
    return LintReport(deployment_plan(model))


def _names(finding: Finding) -> str:
    """Every layer by name where something can be done; kinds and counts of those that are as they should be."""
    if finding.level == "by design":
        kinds = Counter(layer.what for layer in finding.layers)
        return ", ".join(f"{count} × {what}" for what, count in kinds.items())
    return ", ".join(f"{layer.name} ({layer.what})" for layer in finding.layers)


def _entry(title: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{_INDENT}{title + ':':8}", subsequent_indent=_INDENT + " " * 8)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
