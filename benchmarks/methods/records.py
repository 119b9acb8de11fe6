"""What is left of a finished run: a small JSON file in benchmarks/results/methods/, so that no machine repeats it."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.methods.plan import Run
from benchmarks.report import RESULTS
from bssl_tf.files import write_json

FOLDER = RESULTS / "methods"
CHOSEN = FOLDER / "chosen.json"


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        arguments: flags of train.py that shape the result.
        seed: of weights, order and views.
        accuracies: ``knn`` (20 neighbours) and ``linear``, in 0..1, of test images; empty for a teacher's features, and
            where the setting leaves test images alone.
        wall_seconds: from start to end of train.py, on a machine that may have been busy with other work.
        processor_seconds: user and system time of train.py, of all its threads.
        final: metrics at the end of each phase.
        warnings: of the health monitor.
        hardware: processor, cores, memory.
        date: of its end.
        held_out: accuracies of training images that no student learns from; empty in the first records.
    """

    arguments: tuple[str, ...]
    seed: int
    accuracies: dict[str, float]
    wall_seconds: float
    processor_seconds: float
    final: dict[str, dict[str, float]]
    warnings: list[str]
    hardware: str
    date: str
    held_out: dict[str, float] = field(default_factory=dict)


def save(run: Run, record: Record, folder: Path = FOLDER) -> Path:
    path = _path(run, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(record))
    return path


def load(run: Run, folder: Path = FOLDER) -> Record | None:
    """What is known of a run; None if it is not finished, or was with other arguments."""
    path = _path(run, folder)
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    record = Record(**{**content, "arguments": tuple(content["arguments"])})
    return record if record.arguments == run.arguments else None


def chosen(folder: Path = FOLDER) -> dict[str, dict[str, float]]:
    """Name of a form → hyperparameters chosen on held-out training images; empty before that was done."""
    path = folder / CHOSEN.name
    return json.loads(path.read_text())["chosen"] if path.exists() else {}


def fingerprint(run: Run) -> str:
    """Eight characters that differ where arguments do: a run with others needs a folder of its own."""
    return hashlib.blake2b(" ".join(run.arguments).encode(), digest_size=4).hexdigest()


def _path(run: Run, folder: Path) -> Path:
    return folder / f"{run.name}.json"
