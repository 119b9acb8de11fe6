"""The reports beside a .tflite file, ``model.json`` and ``model.md``, with checksums by which damage to them shows."""

import hashlib
from pathlib import Path
from typing import Any

from bssl_tf.errors import UserError
from bssl_tf.files import check_values, encoded, json_text, sha256

_SUM_OF_REPORT, _SUM_OF_TEXT = "sha256_of_report", "sha256_of_text"
_REPORT = dict.fromkeys(("operators", "plan", "parity"), dict)
"""Of reports without checksums, as the first release wrote them, no more can be checked."""


def with_checksums(report: dict[str, Any], text: str) -> dict[str, Any]:
    """The report for programs with checksums of the one for people and of itself."""
    content = {name: value for name, value in report.items() if name not in (_SUM_OF_REPORT, _SUM_OF_TEXT)}
    content[_SUM_OF_TEXT] = hashlib.sha256(encoded(text)).hexdigest()
    return content | {_SUM_OF_REPORT: _sum_of(content)}


def papers(file: Path, report: dict[str, Any], text: str) -> dict[str, bytes]:
    """Name → content of the two files beside a .tflite file."""
    return {file.with_suffix(".json").name: encoded(json_text(report)), file.with_suffix(".md").name: encoded(text)}


def damaged_paper(file: Path, report: dict[str, Any]) -> Path | None:
    """The report that is missing, or not as it was written; None if both are.

    Args:
        file: the .tflite file.
        report: what its .json holds.
    """
    facts, text = file.with_suffix(".json"), file.with_suffix(".md")
    if not text.exists():
        return text
    if _SUM_OF_REPORT in report:
        if report[_SUM_OF_REPORT] != _sum_of(report):
            return facts
        return text if report.get(_SUM_OF_TEXT) != sha256(text) else None
    try:
        check_values(report, _REPORT, facts, "")
    except UserError:
        return facts
    return None if text.read_bytes().startswith(encoded(f"# {file.name}\n")) else text


def _sum_of(report: dict[str, Any]) -> str:
    rest = {name: value for name, value in report.items() if name != _SUM_OF_REPORT}
    return hashlib.sha256(encoded(json_text(rest))).hexdigest()
