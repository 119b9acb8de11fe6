"""How many images a second the input pipeline turns into two views, where its time goes, and what others need.

    python -m benchmarks.pipeline [--quick] [--torch_python=PATH]

Photos are JPEG files of 500×375 pixels, quality 90, written to a temporary folder. All rows are measured in one
run on the same cores; do nothing else on the machine meanwhile. torchvision is an optional extra:
pip install bssl_tf[benchmark].
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags
from rich.console import Console

from benchmarks.photos import write_photos
from benchmarks.reference_views import KINDS
from benchmarks.report import Result, Table
from bssl_tf.config.training import ViewSettings
from bssl_tf.console import run_entry_point
from bssl_tf.data import Source, training_views
from bssl_tf.data.sources import folder
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.decoded import keep_decoded

QUICK = flags.DEFINE_bool("quick", False, "A fraction of the time, for a first impression; the numbers are rough.")
TORCH_PYTHON = flags.DEFINE_string(
    "torch_python", sys.executable, "Python that has torch and torchvision, to measure these in its environment."
)
PLAIN = ViewSettings(jitter_probability=0.0, grey_probability=0.0, blur_probability=0.0)
CORES = len(os.sched_getaffinity(0))


def rates(dataset: tf.data.Dataset, seconds: float) -> tuple[float, float]:
    """Elements of a dataset's batches a second, and milliseconds of processor time for each: the best of three."""
    meter = Meter(dataset)
    found = [meter.measure(seconds / 3) for _ in range(3)]
    return max(rate for rate, _ in found), min(cost for _, cost in found)


class Meter:
    """A data set that runs for a while whenever it is asked to."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        self._batches = iter(dataset)
        next(self._batches)

    def measure(self, seconds: float) -> tuple[float, float]:
        """Elements a second, milliseconds of processor time for each; what lies ready is taken away first."""
        self._run(0.5 * seconds)
        count, wall, cpu = self._run(seconds)
        return count / wall, 1e3 * cpu / count

    def _run(self, seconds: float) -> tuple[int, float, float]:
        count, start, start_cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() < start + seconds:
            count += len(tf.nest.flatten(next(self._batches))[0])
        return count, time.perf_counter() - start, time.process_time() - start_cpu


def views_of(source: Source, image_size: int, channels: int, views=ViewSettings(), batch_size=32, **options):
    return training_views(
        source,
        image_size=image_size,
        channels=channels,
        views=views,
        seed=0,
        batch_size=batch_size,
        epochs=10_000,
        **options,
    )


def ours(photos: folder.FolderSource, seconds: float) -> Table:
    """Our pipeline, from files and from arrays."""
    rng = np.random.default_rng(0)
    decoded = np.stack([photos.decode(example["record"]) for example in photos.examples().take(64)])
    small = ArraySource("small", rng.integers(0, 256, (20_000, 28, 28, 1), dtype=np.uint8))
    cases = (
        ("JPEG files, 224 RGB", views_of(photos, 224, 3)),
        ("JPEG files, 96 RGB", views_of(photos, 96, 3)),
        ("decoded arrays, 224 RGB", views_of(ArraySource("decoded", decoded), 224, 3)),
        ("arrays, 28 grey", views_of(small, 28, 1, batch_size=256)),
        ("JPEG files, 224 RGB, jitter and blur left to the accelerator", views_of(photos, 224, 3, finish=False)),
        (
            "arrays, 28 grey, jitter and blur left to the accelerator",
            views_of(small, 28, 1, batch_size=256, finish=False),
        ),
    )
    rows = [(name, *rates(dataset, seconds)) for name, dataset in cases]
    title = f"Input pipeline: images a second, two views each, {CORES} cores"
    return Table(title, ("from", "images/s", "CPU ms/image"), rows)


def stages(photos: folder.FolderSource, seconds: float) -> Table:
    """Processor time of each step at 224 RGB, as the difference that adding it makes."""

    @tf.autograph.experimental.do_not_convert
    def decode(example):
        return photos.decode(example["record"], 448)[:1, :1]  # small, so that batching costs nothing

    decoded = tf.data.Dataset.range(10_000).flat_map(photos.examples).map(decode, tf.data.AUTOTUNE).batch(32)
    coloured = dataclasses.replace(ViewSettings(), blur_probability=0.0)
    cases = (
        ("read and decode", decoded),
        ("crop and resize, twice", views_of(photos, 224, 3, finish=False)),
        ("to planes and back, into batches", views_of(photos, 224, 3, PLAIN)),
        ("jitter and grey", views_of(photos, 224, 3, coloured)),
        ("blur", views_of(photos, 224, 3)),
    )
    rounds = [[Meter(dataset).measure(seconds / 3)[1] for _, dataset in cases] for _ in range(3)]
    costs = np.min(rounds, axis=0)  # in turn: the machine's speed may change from minute to minute
    steps = np.diff([0.0, *costs]).tolist()
    rows = [(name, step, 100 * step / costs[-1]) for (name, _), step in zip(cases, steps, strict=True)]
    return Table("Input pipeline: where the time goes, JPEG to 224 RGB", ("step", "CPU ms/image", "%"), rows)


def references(photos: folder.FolderSource, path: Path, seconds: float) -> Table:
    """The same recipe in other hands, each right after ours: the machine's speed may change from minute to minute."""
    rows, notes = [], []
    decoded = keep_decoded(photos, image_size=224, limit_mb=1024, log=lambda line: None)
    start = _stolen_time()
    for kind, name in KINDS.items():
        python = sys.executable if kind == "pillow" else TORCH_PYTHON.value
        if kind != "pillow" and subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode:
            notes = ["torchvision is left out, as it is not installed: pip install torch torchvision."]
            continue
        program = Path(__file__).with_name("reference_views.py")
        command = [python, program, kind, str(CORES), str(seconds), path]
        rounds = []
        for _ in range(2 if QUICK.value else 5):
            # Ours are gone before the others start, as they work ahead.
            ours, cost = Meter(views_of(photos, 224, 3)).measure(seconds)
            kept, _ = Meter(views_of(decoded, 224, 3)).measure(seconds)
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            rate, cpu = float(found[0]), 1e3 * float(found[1])
            rounds.append((rate, cpu, ours, cost, ours / rate, cpu / cost, kept / rate))
        rows.append((name, *np.median(rounds, axis=0).tolist()))
    stolen, total = np.subtract(_stolen_time(), start)
    notes.append(f"Meanwhile the hypervisor gave {100 * stolen / max(total, 1):.0f} % of the time to other machines.")
    notes.append(
        f"{CORES} processes of a thread each against bssl_tf's one of {CORES} threads; all numbers are medians."
    )
    columns = (
        "what",
        "images/s",
        "CPU ms/image",
        "bssl_tf, images/s",
        "bssl_tf, CPU ms/image",
        "faster by",
        "CPU time less by",
        "with a cache of decoded images faster by",
    )
    return Table("Two views at 224 RGB from JPEG files, on the same cores", columns, rows, tuple(notes))


def _stolen_time() -> tuple[int, int]:
    """Clock ticks of all cores since the machine started: those the hypervisor gave to others, and all."""
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:  # not Linux
        return 0, 0
    return ticks[7], sum(ticks)


def main() -> None:
    seconds = 1.5 if QUICK.value else 6.0
    with tempfile.TemporaryDirectory() as path:
        write_photos(Path(path), 64 if QUICK.value else 256)
        photos = folder.load(Path(path), "train", holdout=1e-9, progress=False)
        tables = [ours(photos, seconds), stages(photos, seconds), references(photos, Path(path), seconds / 2)]
    result = Result("pipeline_quick" if QUICK.value else "pipeline", tables)
    result.show(Console())
    if not QUICK.value:
        result.save()


if __name__ == "__main__":
    run_entry_point(main, __doc__)
