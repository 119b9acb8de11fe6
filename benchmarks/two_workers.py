"""The loss of one process against that of two workers with the same global batch, on loopback.

    python -m benchmarks.two_workers

Trains a teacher and a binary student on the digits twice, and draws both pairs of curves (docs/two_workers.png). Two
workers on one machine share its cores, so this says nothing of speed.
"""

import io
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from absl import flags
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks.report import Result, Table
from bssl_tf.console import run_entry_point
from bssl_tf.errors import UserError
from bssl_tf.files import write_bytes
from bssl_tf.training.monitoring.metrics_log import read_table

EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs of the teacher and of the student.")
ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "two_workers.png"
PHASES = {"teacher": "SimCLR teacher", "stage2": "BSSL student, binary, λ from 0.9 to 0.7"}


def train(workdir: Path, workers: int, *more: str) -> dict[str, list[float]]:
    """Phase → loss at every step, of the phases that were trained.

    Args:
        workdir: of the run.
        workers: how many.
        *more: flags besides those that all runs have.

    Raises:
        UserError: a worker ended with an error; the message is what it said last.
    """
    command = [
        *(sys.executable, "train.py", "--flagfile=flags/digits.cfg", f"--workdir={workdir}"),
        *("--ablation=balancing", "--log_every=1", "--knn_every=0"),
        *(f"--epochs={EPOCHS.value}", f"--teacher_epochs={EPOCHS.value}", *more),
    ]
    if workers > 1:
        ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
        addresses = ",".join(f"127.0.0.1:{port.getsockname()[1]}" for port in ports)
        for port in ports:
            port.close()
        command += ["--distribution=multi_worker", f"--workers={addresses}"]
    processes = [
        subprocess.Popen(
            command + ([f"--worker_index={index}"] if workers > 1 else []),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(workers)
    ]
    said = [process.communicate()[0] for process in processes]
    for process, text in zip(processes, said, strict=True):
        if process.returncode:
            raise UserError(f"training with {workers} worker(s) failed:\n{text[-2000:]}")
    tables = {phase: workdir / phase / "metrics.csv" for phase in PHASES}
    return {phase: [row["loss"] for row in read_table(table)] for phase, table in tables.items() if table.exists()}


def draw(one: dict[str, list[float]], two: dict[str, list[float]]) -> bytes:
    """A PNG with a panel for each phase."""
    figure, picture = Figure(figsize=(9, 3.2), layout="constrained"), io.BytesIO()
    for place, (phase, title) in enumerate(PHASES.items(), start=1):
        axes = figure.add_subplot(1, 2, place, title=title, xlabel="step", ylabel="loss")
        axes.plot(range(1, len(one[phase]) + 1), one[phase], linewidth=3.5, alpha=0.4, label="one process")
        axes.plot(range(1, len(two[phase]) + 1), two[phase], linewidth=1, color="black", label="two workers")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "one"
        one = train(alone, 1)
        two = train(Path(folder) / "teacher", 2, "--task=teacher")
        two |= train(Path(folder) / "student", 2, f"--teacher={alone}")  # the same teacher for both students
    write_bytes(PICTURE, draw(one, two))
    rows = [
        (title, step, one[phase][step - 1], two[phase][step - 1], abs(two[phase][step - 1] / one[phase][step - 1] - 1))
        for phase, title in PHASES.items()
        for step in (1, 2, 5, 10, 20, 50, 100, 200)
        if step <= len(one[phase])
    ]
    table = Table(
        "Loss of one process and of two workers on loopback, digits, global batch 128",
        ("phase", "step", "one process", "two workers", "relative difference"),
        rows,
        notes=("Where rounding flips the sign of an activation or a weight, a binary student's curves part.",),
    )
    result = Result("two_workers", [table])
    result.show(console)
    console.print(result.save())
    console.print(PICTURE)


if __name__ == "__main__":
    run_entry_point(main, __doc__)
