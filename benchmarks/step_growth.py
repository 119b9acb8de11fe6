"""How the training step grows with the batch and with the pseudo-classes, as ratios of rounds taken in turn.

    python -m benchmarks.step_growth [--quick]

`reactnet_small` and `resnet_small` at 28×28. All sizes are in one process and take turns, so that a machine that is
slower for a while does not change the ratios. Time is the process's CPU time, of all threads: what other processes take
does not count. Page faults tell whether memory is given back and taken anew. The floor of both classifiers is their
multiply-accumulates at the rate of one large matrix product, plus the bytes of Adam at the rate of one large sum.
"""

import os
import resource
import statistics
from collections.abc import Callable

from absl import app, flags
from rich.console import Console

from benchmarks.report import Result, Table
from bssl_tf.native_logs import import_tensorflow

QUICK = flags.DEFINE_bool("quick", False, "Small sizes and one round, nothing saved: seconds instead of minutes.")
ROUNDS = flags.DEFINE_integer("rounds", 4, "Rounds, after one that does not count.")
PIXELS, BATCHES, CLASSES = 28, (32, 128, 512, 1024), (256, 2000, 8000)
_BATCH_OF_CLASSES = 128
_ADAMS_PASSES = 7
"""Reads of weight, gradient and two moments, writes of weight and moments."""
_LARGE = 2**26
CACHED, WHOLE, TEACHER = "step, teacher's features cached", "whole step", "teacher's forward pass"


def used() -> tuple[float, int]:
    """CPU seconds and page faults of the process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_minflt


def rounds_of(timed: dict, rounds: int) -> dict:
    """Key → (CPU seconds, page faults) in each round."""
    measured: dict = {key: [] for key in timed}
    for number in range(rounds + 1):
        for key, run in timed.items():
            before = used()
            run()
            if number:
                measured[key].append(tuple(b - a for a, b in zip(before, used(), strict=True)))
    return measured


def networks() -> tuple:
    """Teacher and student."""
    from bssl_tf.models import BINARY, FLOAT, BackboneSpec, build_backbone

    pixels = dict(image_size=PIXELS, channels=1, mean=(70.0,), std=(90.0,))
    names = (("resnet_small", FLOAT), ("reactnet_small", BINARY))
    return tuple(build_backbone(BackboneSpec(name, mode=mode, **pixels)) for name, mode in names)


def steps(batch: int, classes: int, teacher, student) -> dict[str, Callable]:
    """What is timed, by name, for one batch."""
    import tensorflow as tf

    from bssl_tf.methods.bssl import Bssl

    method = Bssl(teacher, student, target="balanced", pseudo_classes=classes)
    method.compile(tf.keras.optimizers.Adam(1e-4))
    views = tuple(tf.random.uniform((batch, PIXELS, PIXELS, 1), 0, 255) for _ in range(2))
    targets = tf.random.normal((batch, 2, student.output_shape[-1]), dtype=tf.float16)
    images = tf.concat(views, axis=0)
    return {
        CACHED: tf.function(lambda: method.train_step((views, targets)), autograph=False),
        WHOLE: tf.function(lambda: method.train_step((views,)), autograph=False),
        TEACHER: tf.function(lambda: teacher(images, training=False), autograph=False),
    }


def by_batch(batches: tuple[int, ...], rounds: int) -> Table:
    teacher, student = networks()
    timed = {
        (what, batch): run for batch in batches for what, run in steps(batch, CLASSES[0], teacher, student).items()
    }
    measured, rows = rounds_of(timed, rounds), []
    for what, batch in sorted(timed, key=lambda key: ((CACHED, WHOLE, TEACHER).index(key[0]), key[1])):
        times, faults = zip(*measured[what, batch], strict=True)
        ratios = {}
        for base in batches[:2]:
            pairs = zip(times, measured[what, base], strict=True)
            ratios[base] = statistics.median(time / batch / (least / base) for time, (least, _) in pairs)
        rows.append((what, batch, 1e3 * min(times), *ratios.values(), statistics.median(faults)))
    return Table(
        f"reactnet_small at {PIXELS}×{PIXELS}, K = {CLASSES[0]}, by batch (images, two views each)",
        ("what", "batch", "CPU ms", *(f"× linear from {base}" for base in batches[:2]), "page faults"),
        rows,
        (_about_the_machine(rounds),),
    )


def by_classes(classes: tuple[int, ...], rounds: int) -> Table:
    import tensorflow as tf

    teacher, student = networks()
    square, ones, large = tf.random.normal((2048, 2048)), tf.ones(_LARGE), tf.Variable(tf.zeros(_LARGE))
    timed = {count: steps(_BATCH_OF_CLASSES, count, teacher, student)[CACHED] for count in classes}
    timed["product"] = tf.function(lambda: tf.matmul(square, square), autograph=False)
    timed["sum"] = lambda: large.assign_add(ones)
    measured = rounds_of(timed, rounds)
    first = floor_of_classes(classes[0], teacher, student)
    rows = []
    for count in classes:
        macs, numbers = (a - b for a, b in zip(floor_of_classes(count, teacher, student), first, strict=True))
        ratios, of_floor = [], []
        for each, base, product, addition in zip(
            *(measured[key] for key in (count, classes[0], "product", "sum")), strict=True
        ):
            ratios.append(each[0] / base[0])
            floor = macs * product[0] / 2048**3 + numbers * _ADAMS_PASSES / 3 * addition[0] / _LARGE
            of_floor.append((each[0] - base[0]) / floor if floor else 0.0)
        milliseconds = 1e3 * min(each[0] for each in measured[count])
        added = None if count == classes[0] else statistics.median(of_floor)
        rows.append((count, milliseconds, statistics.median(ratios), added))
    return Table(
        f"reactnet_small at {PIXELS}×{PIXELS}, batch {_BATCH_OF_CLASSES}, teacher's features cached, by pseudo-classes",
        ("K", "CPU ms", f"× K = {classes[0]}", f"what is added to K = {classes[0]}, × its floor"),
        rows,
        (_about_the_machine(rounds),),
    )


def floor_of_classes(classes: int, teacher, student) -> tuple[int, int]:
    """Multiply-accumulates of both classifiers in a step, forward and backward, and numbers that Adam updates."""
    widths = student.output_shape[-1], teacher.output_shape[-1]
    numbers = sum(width * classes + classes**2 for width in widths)
    return 3 * numbers * 2 * _BATCH_OF_CLASSES, numbers


def _about_the_machine(rounds: int) -> str:
    return (
        f"--target=balanced. CPU ms: the least of {rounds} rounds; all else: medians over them. Load of the machine "
        f"{os.getloadavg()[1]:.1f} on {os.cpu_count()} cores."
    )


def main(argv: list[str]) -> None:
    import_tensorflow()
    quick = QUICK.value
    rounds = 1 if quick else ROUNDS.value
    tables, console = [], Console()
    for make, sizes in ((by_batch, BATCHES), (by_classes, CLASSES)):
        tables.append(make(sizes[:2] if quick else sizes, rounds))
        Result("step_growth", tables[-1:]).show(console)
    result = Result("step_growth", tables)
    if not quick:
        console.print(result.save())


if __name__ == "__main__":
    app.run(main)
