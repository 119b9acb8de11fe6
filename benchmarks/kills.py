"""Kills training, export and evaluation at random moments, and compares every file with that of an undisturbed run.

    python -m benchmarks.kills --kills=20 --output=runs/kills

A series trains a shortened run of the digits, exports and evaluates it. Each command is killed (SIGKILL) after a random
time of up to that of the undisturbed command and started again, until the kills are used up; then it may finish. Files
that differ, and leftovers, are named; the exit status is 1 if there are any. Times, and what is made of them, may
differ: they are left out. Plots and events for TensorBoard are not compared.
"""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from absl import flags

from bssl_tf.config.recipes import recipe_path
from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import UserError

TRAIN = (
    *("--teacher_width=8", "--teacher_stages=1", "--teacher_epochs=6", "--teacher_warmup_epochs=1"),
    *("--student_width=8", "--student_stages=1", "--pseudo_classes=16", "--epochs=6", "--warmup_epochs=1"),
    *("--log_every=4", "--knn_every=2", "--checkpoint_minutes=0.01"),
)
TIMES = ("seconds", "images_per_second", "finished", "date")
NOT_COMPARED = (".png", ".md")
"""Pictures; and what is made of files that are compared."""
_LEFT_OVER = " (left over)"
FOLDERS = ("tensorboard/", "checkpoints/", "evaluation/features/")
"""What they hold depends on the time, or has names that do; what is made of it is compared."""


def commands(workdir: Path) -> dict[str, list[str]]:
    """The series: name → command, in order."""
    model = workdir / "model.tflite"
    return {
        "train": ["bssl_tf.cli.train", f"--flagfile={recipe_path('digits')}", f"--workdir={workdir}", *TRAIN],
        "convert": ["bssl_tf.cli.convert", f"--workdir={workdir}", f"--output={model}", "--parity_images=200"],
        "evaluate": ["bssl_tf.cli.evaluate", f"--workdir={workdir}", "--protocols=knn,linear", "--noplots"],
    }


def run(command: list[str], log: Path, killed_after: float | None = None) -> bool:
    """Whether the command ended well; False if it was killed.

    Raises:
        UserError: it ended badly by itself.
    """
    with open(log, "ab") as file:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=file, stderr=subprocess.STDOUT)
        try:
            status = process.wait(killed_after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
    if status:
        raise UserError(f"{command[0]} ended with status {status}: see {log}.")
    return True


def disturbed(name: str, command: list[str], log: Path, seconds: float, kills: int, draw: random.Random) -> int:
    """Run a command to its end, killing it on the way; returns the number of kills that came before the end."""
    for count in range(kills):
        after = draw.uniform(0.3, 1.0) * seconds if count % 2 else draw.uniform(0.05, 1.0) * seconds
        if run(command, log, after):
            console.print(f"{name}: at its end after {count} kills")
            return count
        console.print(f"{name}: kill {count + 1} after {after:.1f} s")
    run(command, log)
    return kills


def contents(folder: Path) -> dict[str, object]:
    """Relative name → content of all files that are compared."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.endswith((".tmp", "_temp", ".set", ".lock", ".lock.json")):
            found[name + _LEFT_OVER] = None
        elif path.is_file() and path.suffix not in NOT_COMPARED and not any(part in name for part in FOLDERS):
            found[name] = _content(path)
    return found


def _content(path: Path) -> object:
    if path.name == "results.json":  # a file's identity depends on the date in it
        records = json.loads(path.read_text()).values()
        return sorted(json.dumps([record["network"], record["part"], record["scores"]]) for record in records)
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text()))
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return {key: np.asarray(file[key]).tobytes() for key in file}
    if path.suffix == ".tflite":
        return _computed_by(path)
    return path.read_bytes()


def _computed_by(path: Path) -> bytes:
    """What a file gives for fixed images: its metadata hold the date."""
    from bssl_tf.deploy import TfliteBackbone

    model = TfliteBackbone(path)
    images = np.random.default_rng(0).integers(0, 256, (16, *model.image_shape), dtype=np.uint8)
    return model.features(images).tobytes()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        compared = {key for key in value if key not in (*TIMES, "command") and not key.startswith("sha256")}
        return {key: _without_times(item) for key, item in value.items() if key in compared}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def differences(reference: Path, other: Path) -> list[str]:
    """Names of files that are not the same, are missing, or are left over, in either."""
    expected, found = contents(reference), contents(other)
    left_over = {name for name in expected.keys() | found.keys() if name.endswith(_LEFT_OVER)}
    missing = [f"{name} (in one of them only)" for name in sorted((expected.keys() ^ found.keys()) - left_over)]
    names = sorted((expected.keys() & found.keys()) - left_over)
    return (
        missing
        + sorted(left_over)
        + [name for name in names if _named(expected[name], reference) != _named(found[name], other)]
    )


def _named(value: object, folder: Path) -> object:
    """Content in which the workdir's name does not matter."""
    if isinstance(value, dict) and not any(isinstance(item, bytes) for item in value.values()):
        return json.dumps(value, sort_keys=True).replace(str(folder), "WORKDIR").replace(folder.name, "WORKDIR")
    return value


def main() -> None:
    """Run the command."""
    arguments = flags.FLAGS
    folder, draw = Path(arguments.output), random.Random(arguments.seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds, reference = {}, folder / "reference" / "run"  # one name for all: files made by convert hold it
    for name, command in commands(reference).items():
        started = time.monotonic()
        run(command, folder / "reference.log")
        seconds[name] = time.monotonic() - started
        console.print(f"{name}: {seconds[name]:.0f} s undisturbed")
    done, unequal, series = dict.fromkeys(seconds, 0), [], 0
    while min(done.values()) < arguments.kills:
        series += 1
        workdir = folder / f"series{series}" / "run"
        for name, command in commands(workdir).items():
            left = min(arguments.kills_of_a_command, arguments.kills - done[name])
            done[name] += disturbed(name, command, folder / f"series{series}.log", seconds[name], max(0, left), draw)
        found = differences(reference, workdir)
        unequal += [f"series {series}: {name}" for name in found]
        console.print(f"series {series}: {', '.join(found) or 'all files equal'}; kills so far: {done}")
        if not found:
            shutil.rmtree(workdir)
    if unequal:
        raise UserError(f"files that differ: {'; '.join(unequal)}")
    console.print(f"[bold green]done[/]: {sum(done.values())} kills in {series} series, all files equal")


if __name__ == "__main__":
    flags.DEFINE_integer("kills", 20, "Kills of each command.", lower_bound=1)
    flags.DEFINE_integer("kills_of_a_command", 5, "Kills before a command may end.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed of the moments.")
    flags.DEFINE_string("output", "runs/kills", "Folder for runs and logs; emptied first.")
    run_entry_point(main, __doc__ or "")
