"""Runs of a long benchmark: each a command with a log and a count of its time, and a small record that stays.

Records are committed, so that no machine repeats what another one has finished.
"""

import hashlib
import json
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import write_json

ROOT = Path(__file__).parent.parent

Record = TypeVar("Record")


def whole_numbers(flag: str, texts: list[str]) -> list[int]:
    """Values of a flag that is a list of whole numbers.

    Raises:
        ConfigError: one of them is none.
    """
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise ConfigError(f"--{flag}={','.join(texts)}: give whole numbers, separated by commas.") from None


def save(record: Any, path: Path) -> Path:
    """Write a record, a dataclass, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(record))
    return path


def load(kind: type[Record], path: Path, arguments: tuple[str, ...]) -> Record | None:
    """What is known of a run; None if it is not finished, or was with other arguments.

    Args:
        kind: dataclass of the record; has a field ``arguments``.
        path: of `save`.
        arguments: those that shape the run now.
    """
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    return kind(**{**content, "arguments": arguments}) if content["arguments"] == list(arguments) else None


def fingerprint(arguments: Sequence[str]) -> str:
    """Eight characters that differ where arguments do: a run with others needs a folder of its own."""
    return hashlib.blake2b(" ".join(arguments).encode(), digest_size=4).hexdigest()


def run_command(command: Sequence[str], folder: Path, name: str) -> None:
    """Run a command of this repository, and add its time to what earlier attempts took.

    Args:
        command: with the interpreter.
        folder: of the run; gets log.txt and cost.json.
        name: of the run, for the message.

    Raises:
        UserError: it ended with an error; names its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before, start = _children(), time.monotonic()
    log = folder / "log.txt"
    try:
        with log.open("a") as output:
            code = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT).returncode
    finally:
        spent = cost(folder)
        spent["wall_seconds"] += round(time.monotonic() - start, 1)
        spent["processor_seconds"] += round(_children() - before, 1)
        write_json(folder / "cost.json", spent)
    if code:
        raise UserError(f"{name} ended with an error, see {log}:\n{log.read_text()[-1000:]}")


def cost(folder: Path) -> dict[str, float]:
    """``wall_seconds`` and ``processor_seconds`` (user and system time of all threads) of all attempts so far."""
    path = folder / "cost.json"
    return json.loads(path.read_text()) if path.exists() else {"wall_seconds": 0.0, "processor_seconds": 0.0}


def _children() -> float:
    """Processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
