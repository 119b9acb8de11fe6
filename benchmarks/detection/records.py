"""What is left of a finished run: a small JSON file in benchmarks/results/detection/."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import finished_runs
from benchmarks.detection.plan import Run
from benchmarks.report import RESULTS

FOLDER = RESULTS / "detection"


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        arguments: all that shapes the result, `Run.arguments`.
        scores: measure → values in 0..1, one a draw.
        wall_seconds: from start to end, on a machine that may have been busy with other work.
        processor_seconds: user and system time of all threads and processes.
        hardware: processor, cores, memory.
        date: of its end.
        final: metrics at the end of a detector's training.
        warnings: of the health monitor.
        file: of an exported detector: ``ap``; ``agreeing``, the share of images whose raw outputs are Keras's to
            rounding; ``expected_agreeing``, the same of Keras with weights nudged by a rounding;
            ``median_relative``, deviation over these images; ``bytes``, ``operators``,
            ``binary_share_of_macs``, ``conversion_seconds``.
    """

    arguments: tuple[str, ...]
    scores: dict[str, list[float]]
    wall_seconds: float
    processor_seconds: float
    hardware: str
    date: str
    final: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    file: dict[str, Any] = field(default_factory=dict)


def save(run: Run, record: Record, folder: Path = FOLDER) -> Path:
    return finished_runs.save(record, _path(run, folder))


def load(run: Run, folder: Path = FOLDER) -> Record | None:
    """What is known of a run; None if it is not finished, or was with other arguments."""
    return finished_runs.load(Record, _path(run, folder), run.arguments)


def _path(run: Run, folder: Path) -> Path:
    return folder / f"{run.name}.json"
