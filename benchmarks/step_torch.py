"""BSSL's training step beside the same step in PyTorch: ReActNet-A at 224 pixels with a ResNet-50 as the teacher.

    python -m benchmarks.step_torch [--torch_python=PATH] [--seconds=60] [--threads=1]

PyTorch is an optional extra, best in an environment of its own, as it brings a second set of thread pools:

    python -m venv ENV && ENV/bin/pip install torch==2.13.0          # then --torch_python=ENV/bin/python

`benchmarks.torch_twin` runs in a process of its own and takes turns with our step; both are warm. Ratios are medians
over the rounds. CPU seconds are those of the process, all threads: on a machine that is shared they count, with one
thread each, what wall time counts on an idle one.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from absl import flags
from rich.console import Console

from benchmarks.reference_views import cpu_seconds
from benchmarks.report import RESULTS, Result, Table
from benchmarks.step_parts import ABOUT_TARGET, SETUPS, parts_of_step, student_of, teacher_of
from bssl_tf.console import run_entry_point
from bssl_tf.native_logs import import_tensorflow

TORCH_PYTHON = flags.DEFINE_string("torch_python", sys.executable, "Python that has torch.")
SECONDS = flags.DEFINE_float("seconds", 60.0, "Time for the rounds, of which there are three at least.")
THREADS = flags.DEFINE_integer("threads", 0, "Threads of either; 0: as they choose.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/step_torch.json.")
FORMATS = ("channels_first", "channels_last")
PARTS = {"step": "whole step", "cached": "step with cached features"}
_OURS = {"whole step": "step", "step with cached features": "step, features cached"}
INSTALL = "python -m venv ENV && ENV/bin/pip install torch==2.13.0, then --torch_python=ENV/bin/python"


class Twin:
    """The step in PyTorch, in a process of its own that waits between steps."""

    def __init__(self, python: str, *, images: int, size: int, classes: int, memory_format: str, threads: int):
        arguments = [str(value) for value in (images, size, classes, memory_format)]
        more = {"OMP_NUM_THREADS": str(threads)} if threads else {}
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.torch_twin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | more,
            cwd=RESULTS.parents[1],
        )
        parameters, self.version = self._answer().split()
        self.parameters, self.process = int(parameters), self._process.pid

    def run(self, part: str) -> float:
        """One step; its loss."""
        self._process.stdin.write(f"{part}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"benchmarks.torch_twin ended with status {self._process.wait()}.")
        return line.strip()


def rounds_of(timed: dict[str, tuple[Callable, int]], budget: float) -> dict[str, list[tuple[float, float]]]:
    """(seconds, CPU seconds) of each, run in turn for `budget` seconds and three times at least; one round before.

    Args:
        timed: name → what to run, and the process that does the work.
        budget: seconds.
    """
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for run, _ in timed.values():
        run()
    end = time.perf_counter() + budget
    while len(rounds[next(iter(rounds))]) < 3 or time.perf_counter() < end:
        for name, (run, process) in timed.items():
            start, start_cpu = time.perf_counter(), cpu_seconds([process])
            run()
            rounds[name].append((time.perf_counter() - start, cpu_seconds([process]) - start_cpu))
    return rounds


def table(rounds: dict[str, list[tuple[float, float]]], images: int, notes: tuple[str, ...]) -> Table:
    rows = []
    for name, times in rounds.items():
        part = next(part for part in PARTS.values() if name.endswith(f", {part}"))
        ours = rounds[f"bssl_tf, {part}"]
        pairs = list(zip(times, ours, strict=True))
        ratios = [statistics.median(theirs[kind] / our[kind] for theirs, our in pairs) for kind in (0, 1)]
        wall, cpu = (min(each[kind] for each in times) for kind in (0, 1))
        rows.append((name, wall, images / wall, cpu, *ratios))
    return Table(
        f"Step of BSSL, reactnet_a at 224×224 with resnet50, {images} images × 2 views, K = 2000, float32",
        ("step", "s", "images/s", "CPU s", "× ours", "× ours, CPU"),
        rows,
        notes,
    )


def main() -> None:
    if THREADS.value:
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ[name] = str(THREADS.value)
    import_tensorflow()
    import tensorflow as tf

    from bssl_tf.models import BINARY

    setup = SETUPS["reactnet_a"]
    images = tf.random.uniform((2 * setup.batch, setup.image_size, setup.image_size, setup.channels), 0, 255)
    student = student_of("reactnet_a", setup, BINARY)
    ours = parts_of_step(setup, teacher_of(setup), student, images)
    timed = {f"bssl_tf, {name}": (ours[_OURS[name]], os.getpid()) for name in PARTS.values()}
    notes, twins = [ABOUT_TARGET], []
    if subprocess.run([TORCH_PYTHON.value, "-c", "import torch"], capture_output=True).returncode:
        notes.append(f"PyTorch is left out, as {TORCH_PYTHON.value} does not have it: {INSTALL}.")
    else:
        options = dict(images=setup.batch, size=setup.image_size, classes=setup.pseudo_classes, threads=THREADS.value)
        twins = [Twin(TORCH_PYTHON.value, memory_format=each, **options) for each in FORMATS]
        for memory_format, twin in zip(FORMATS, twins, strict=True):
            name = f"PyTorch, {memory_format.replace('_', ' ')}"
            for part, of_part in PARTS.items():
                timed[f"{name}, {of_part}"] = (lambda twin=twin, part=part: twin.run(part)), twin.process
        same = twins[0].parameters == sum(int(tf.size(each)) for each in student.trainable_variables)
        notes.append(f"PyTorch {twins[0].version}; students of {'equally' if same else 'NOT equally'} many parameters.")
        notes.append("PyTorch's step standardises the teacher's features, and reports nothing but the loss.")
    rounds = rounds_of(timed, SECONDS.value)
    for twin in twins:
        twin.close()
    count, load = len(rounds["bssl_tf, whole step"]), os.getloadavg()[1]
    notes.append(f"{count} rounds; load of the machine {load:.1f} on {os.cpu_count()} cores.")
    result, console = Result("step_torch", [table(rounds, setup.batch, tuple(notes))]), Console()
    result.show(console)
    if SAVE.value and twins:
        console.print(result.save())


if __name__ == "__main__":
    run_entry_point(main, __doc__)
