"""What is left of a finished run: a small JSON file in benchmarks/results/methods/, so that no machine repeats it."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import finished_runs
from benchmarks.methods.plan import Choice, Run
from benchmarks.report import RESULTS

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
        tasks: name of `benchmarks.methods.tasks` → accuracies, one a draw of labels; empty in the first records.
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
    tasks: dict[str, list[float]] = field(default_factory=dict)


def save(run: Run, record: Record, folder: Path = FOLDER) -> Path:
    return finished_runs.save(record, _path(run, folder))


def load(run: Run, folder: Path = FOLDER) -> Record | None:
    """What is known of a run; None if it is not finished, or was with other arguments."""
    return finished_runs.load(Record, _path(run, folder), run.arguments)


def chosen(folder: Path = FOLDER) -> dict[str, Choice]:
    """Name of a form → its hyperparameters; empty before they were chosen."""
    path = folder / CHOSEN.name
    found = json.loads(path.read_text())["chosen"] if path.exists() else {}
    return {key: Choice(**values) for key, values in found.items()}


def _path(run: Run, folder: Path) -> Path:
    return folder / f"{run.name}.json"
