"""The form of every result: what was run, on what, when, and tables of numbers.

measured = Result("pipeline", tables=[Table("JPEG files", ("what", "images/s"), rows)])
measured.show(console)
measured.save()
"""

import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from bssl_tf.files import write_json

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("tensorflow", "larq", "larq-compute-engine", "numpy", "Pillow")


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers; None is an empty cell.

    Args:
        title: what was measured, with sizes.
        columns: names, with units.
        rows: one value a column; numbers are shown with three significant digits.
        notes: sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple]
    notes: tuple[str, ...] = ()

    def cells(self) -> list[list[str]]:
        return [[_shown(value) for value in row] for row in self.rows]

    def markdown(self) -> str:
        numeric = [
            all(isinstance(row[i], (int, float, type(None))) for row in self.rows) for i in range(len(self.columns))
        ]
        lines = [
            f"**{self.title}**",
            "",
            f"| {' | '.join(self.columns)} |",
            f"| {' | '.join('---:' if is_number else '---' for is_number in numeric)} |",
            *(f"| {' | '.join(cells)} |" for cells in self.cells()),
        ]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def best_seconds(run: Callable[[], None], repeats: int = 5, warm_up: int = 1) -> float:
    """Shortest of several timings, in seconds: what the code costs when the machine leaves it alone."""
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def hardware() -> str:
    """Processor, cores this process may use, memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    extensions = [name for name in ("avx2", "avx512f", "amx_bf16") if name in named.get("flags", "").split()]
    return f"{named.get('model name', platform.machine())} ({', '.join(extensions) or platform.machine()})"


def _versions() -> dict[str, str]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _command() -> str:
    module = sys.modules["__main__"].__spec__
    program = f"-m {module.name.removesuffix('.__main__')}" if module else Path(sys.argv[0]).name
    arguments = [re.sub("=/.*", "=PATH", argument) for argument in sys.argv[1:]]  # a machine's paths say nothing
    return shlex.join(["python", *program.split(), *arguments])


@dataclass(frozen=True)
class Result:
    """One run of one benchmark."""

    name: str
    tables: list[Table]
    command: str = field(default_factory=_command)
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    hardware: str = field(default_factory=hardware)
    versions: dict[str, str] = field(default_factory=_versions)

    def show(self, console: Console) -> None:
        for table in self.tables:
            shown = RichTable(title=table.title, title_justify="left")
            for number, column in enumerate(table.columns):
                shown.add_column(column, justify="right" if number else "left")
            for row in table.cells():
                shown.add_row(*row)
            console.print(shown)
            for note in table.notes:
                console.print(note)

    def save(self, folder: Path = RESULTS) -> Path:
        """Write FOLDER/NAME.json; return its path."""
        path = folder / f"{self.name}.json"
        write_json(path, asdict(self))
        return path

    @classmethod
    def load(cls, path: Path) -> "Result":
        content = json.loads(path.read_text())
        tables = [
            Table(
                **{
                    **table,
                    "columns": tuple(table["columns"]),
                    "rows": [tuple(row) for row in table["rows"]],
                    "notes": tuple(table["notes"]),
                }
            )
            for table in content.pop("tables")
        ]
        return cls(tables=tables, **content)


def _shown(value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
