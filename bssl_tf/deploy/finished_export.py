"""Whether an exported file is there already: made from the same weights and options, and as it was written."""

from pathlib import Path
from typing import Any

from bssl_tf.errors import ConfigError
from bssl_tf.files import read_json, sha256


def finished_export(output: Path, identity: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The report of a file that was made from these weights with these options; None if it is to be made.

    Args:
        output: the .tflite file.
        identity: the weights and options.
        overwrite: whether a file that is something else may be replaced.

    Raises:
        ConfigError: the file is something else, or was changed after it was made.
    """
    if not output.exists():
        return None
    facts, remedy = output.with_suffix(".json"), "name another file, or add --overwrite"
    if not facts.exists():
        return _replaced(
            overwrite, f"--output={output} exists without the report of an export ({facts.name}): {remedy}."
        )
    try:
        report = read_json(facts, dict, remedy)
        same = report["extra"]["source"] == identity
        intact = report["sha256"] == sha256(output)
    except (KeyError, TypeError):
        return _replaced(overwrite, f"--output={output} exists, and {facts} is no report of an export: {remedy}.")
    except ValueError as error:
        return _replaced(overwrite, f"--output={output} exists, and {error}")
    if not same:
        return _replaced(overwrite, f"--output={output} exists and came from other weights or options: {remedy}.")
    if not intact:
        changed = f"--output={output} is not the file that {facts.name} describes: it was damaged or changed since."
        return _replaced(overwrite, f"{changed} {remedy.capitalize()}.")
    return report if output.with_suffix(".md").exists() else None


def _replaced(overwrite: bool, refusal: str) -> None:
    if not overwrite:
        raise ConfigError(refusal)
