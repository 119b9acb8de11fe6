"""Whether an exported file is there already: made from the same weights and options, and as it was written."""

from pathlib import Path
from typing import Any

from bssl_tf.console import print_warning
from bssl_tf.deploy.papers import damaged_paper
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import read_json, sha256

_REMEDY = "name another file, or add --overwrite"
_REPORT_ENTRIES = {"file", "sha256", "operators", "plan"}
"""What every report of `bssl_tf.deploy.make_report` has, and hardly any other file."""


def finished_export(output: Path, identity: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The report of a file that was made from these weights with these options; None if it is to be made.

    Of damaged reports a warning is printed: the file is made again with them.

    Args:
        output: the .tflite file.
        identity: the weights and options.
        overwrite: whether files that are something else may be replaced.

    Raises:
        ConfigError: the file is something else, or was changed after it was made; or it is absent, and what lies where
            its report goes is no report.
    """
    if not output.exists():
        if not overwrite:
            _check_papers(output)
        return None
    problem, report = _problem(output, identity)
    if problem and not overwrite:
        raise ConfigError(f"--output={output} {problem}")
    if problem:
        return None
    if (paper := damaged_paper(output, report)) is not None:
        print_warning(f"{paper} is not as it was written: {output.name} and its reports are made again.")
        return None
    return report


def _check_papers(output: Path) -> None:
    """Raises ConfigError if a report of this file would replace what no export has written."""
    facts, text = output.with_suffix(".json"), output.with_suffix(".md")
    foreign = text if text.exists() else None
    if facts.exists():
        foreign = None if _is_report(facts) else facts
    if foreign is not None:
        raise ConfigError(
            f"--output={output}: its report would replace {foreign}, which no export has written: {_REMEDY}."
        )


def _is_report(facts: Path) -> bool:
    try:
        return read_json(facts, dict, _REMEDY).keys() >= _REPORT_ENTRIES
    except (OSError, UserError):
        return False


def _problem(output: Path, identity: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Why a file is not the one that would be made (empty if it is), and its report."""
    facts, remedy = output.with_suffix(".json"), _REMEDY
    if not facts.exists():
        return f"exists without the report of an export ({facts.name}): {remedy}.", {}
    try:
        report = read_json(facts, dict, remedy)
        same, intact = report["extra"]["source"] == identity, report["sha256"] == sha256(output)
    except (KeyError, TypeError):
        return f"exists, and {facts} is no report of an export: {remedy}.", {}
    except UserError as error:
        return f"exists, and {error}", {}
    if not same:
        return f"exists and came from other weights or options: {remedy}.", {}
    if not intact:
        return (
            f"is not the file that {facts.name} describes: it was damaged or changed since. {remedy.capitalize()}.",
            {},
        )
    return "", report
