"""Times a file and its float twin on a machine, and sets the result beside what others have published."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bssl_tf.device.machine import Machine
from bssl_tf.device.tool_output import ToolRun

THREADS = (1, 4)
_OPERATORS_SHOWN = 12


@dataclass(frozen=True)
class Published:
    """A row of the table in Larq Compute Engine's README: 224×224 pixels, 1000 classes, one thread, milliseconds."""

    network: str
    pixel_1: float
    raspberry_pi_4b: float


PUBLISHED = (
    Published("QuickNetSmall", 16.8, 27.7),
    Published("QuickNet", 25.5, 45.0),
    Published("QuickNetLarge", 44.2, 77.0),
)
PUBLISHED_SOURCE = "README of Larq Compute Engine, one thread, 224×224 pixels, with a classifier of 1000 classes"


@dataclass(frozen=True)
class Timing:
    """A run of a file on a machine."""

    network: str
    threads: int
    run: ToolRun


@dataclass(frozen=True)
class DeviceReport:
    """Everything timed on a machine.

    Attributes:
        machine: its description.
        timings: the file and its twin, with each number of threads.
        profile: of the file on one thread, in a run of its own, since profiling takes time; None where there is none.
        warning: for the reader; empty if there is none.
    """

    machine: str
    timings: tuple[Timing, ...]
    profile: ToolRun | None
    warning: str = ""

    def as_dict(self) -> dict[str, Any]:
        profile = self.profile
        return {
            "machine": self.machine,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "warning": self.warning,
            "timings": [
                {"network": timing.network, "threads": timing.threads}
                | {name: value for name, value in asdict(timing.run).items() if name != "operators"}
                for timing in self.timings
            ],
            "milliseconds_by_operator": {} if profile is None else profile.milliseconds_by_kind,
            "operators": [] if profile is None else [asdict(operator) for operator in profile.operators],
            "published": {"source": PUBLISHED_SOURCE, "rows": [asdict(row) for row in PUBLISHED]},
        }

    def markdown(self) -> str:
        """A section for the file's report."""
        runs = [timing.run for timing in self.timings]
        repeats, warm_up = min(run.repeats for run in runs), min(run.warm_up_runs for run in runs)
        lines = [
            f"Milliseconds an image on {self.machine}: mean of at least {repeats} runs, {warm_up} more to warm up.",
            *([self.warning] if self.warning else []),
            _table(
                ("network", "threads", "mean", "deviation", "fastest", "first", "loading"),
                [(timing.network, str(timing.threads), *map(_ms, _shown(timing.run))) for timing in self.timings],
            ),
            *self._ratios(),
        ]
        if self.profile is not None:
            lines += ["One thread, by kind of operator:", self._profile_table(self.profile)]
        lines += [
            f"Published ({PUBLISHED_SOURCE}), milliseconds:",
            _table(
                ("network", "Pixel 1", "Raspberry Pi 4B"),
                [(row.network, _ms(row.pixel_1), _ms(row.raspberry_pi_4b)) for row in PUBLISHED],
            ),
        ]
        return "\n\n".join(lines)

    def _ratios(self) -> list[str]:
        """A sentence for each number of threads: how much faster than the twin."""
        means: dict[int, list[float]] = {}
        for timing in self.timings:
            means.setdefault(timing.threads, []).append(timing.run.mean)
        return [
            f"{threads} thread{'s' if threads > 1 else ''}: the float twin takes {pair[1] / pair[0]:.2f} times as long."
            for threads, pair in means.items()
            if len(pair) == 2
        ]

    @staticmethod
    def _profile_table(profile: ToolRun) -> str:
        kinds = profile.milliseconds_by_kind
        whole = sum(kinds.values())
        counts = {kind: sum(operator.kind == kind for operator in profile.operators) for kind in kinds}
        rows = [(kind, str(counts[kind]), _ms(time), f"{time / whole:.0%}") for kind, time in kinds.items()]
        return _table(("operator", "count", "milliseconds", "share"), rows[:_OPERATORS_SHOWN])


def time_on(
    machine: Machine,
    files: dict[str, Path],
    *,
    threads: tuple[int, ...] = THREADS,
    warning: str = "",
    log: Callable[[str], None] = print,
) -> DeviceReport:
    """Time files on a machine, and profile the first if the machine can.

    Args:
        machine: where.
        files: name in the report → .tflite file; the network first, then its twin.
        threads: numbers of threads.
        warning: for the report.
        log: prints what is being done.
    """
    timings = []
    for network, file in files.items():
        for count in threads:
            log(f"{network}, {count} thread{'s' if count > 1 else ''} …")
            timings.append(Timing(network, count, machine.time(file, count, profile=False)))
    profile = None
    if machine.profiles:
        log("operator by operator …")
        profile = machine.time(next(iter(files.values())), 1, profile=True)
    shown = profile if profile is not None and profile.operators else None
    return DeviceReport(machine.description, tuple(timings), shown, warning)


def _shown(run: ToolRun) -> tuple[float, ...]:
    return run.mean, run.deviation, run.fastest, run.first, run.start


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
