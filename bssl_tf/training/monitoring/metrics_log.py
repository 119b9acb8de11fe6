"""Metrics of a phase: a CSV file that survives interruptions, mirrored to TensorBoard."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from bssl_tf.config.renamed import METRICS, with_new_names
from bssl_tf.files import write_text


class MetricsTable:
    """Rows of numbers by step, on disk at once; rows after the step resumed from are dropped.

    Args:
        path: the CSV file. Columns grow as new names appear.
        writer: TensorBoard's writer, or None.
        resume_step: rows of later steps, written by a run that was interrupted after its last
            checkpoint, are removed: they are about to be written again.
    """

    def __init__(self, path: Path, writer: tf.summary.SummaryWriter | None, resume_step: int):
        self._path, self._writer = Path(path), writer
        rows = read_table(path) if self._path.exists() else []
        self.rows = [row for row in rows if row["step"] <= resume_step]
        if rows:  # without the rows to be written again, and with the names of today
            self._rewrite()

    def append(self, step: int, values: Mapping[str, float]) -> None:
        row = {"step": step, **{name: float(_rounded(value)) for name, value in values.items()}}  # as read again
        new_columns = bool(set(row) - set(self._columns()))
        self.rows.append(row)
        if new_columns or not self._path.exists():
            self._rewrite()
        else:
            with open(self._path, "a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns()).writerow(_formatted(row))
        if self._writer is not None:
            with self._writer.as_default(step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def _rewrite(self) -> None:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, self._columns() or ["step"])
        table.writeheader()
        table.writerows(_formatted(row) for row in self.rows)
        write_text(self._path, text.getvalue())


def read_table(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics file, as numbers; empty cells are left out. Columns have their names of today."""
    with open(path, newline="", encoding="utf-8") as file:
        complete = [row for row in csv.DictReader(file) if None not in row.values()]
    return [
        {name: int(cell) if name == "step" else float(cell) for name, cell in row.items() if cell}
        for row in (with_new_names(row, METRICS) for row in complete)
    ]


def _formatted(row: Mapping[str, float]) -> dict[str, str]:
    return {name: str(value) if name == "step" else _rounded(value) for name, value in row.items()}


def _rounded(value: float) -> str:
    return f"{value:.6g}"
