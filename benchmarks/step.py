"""What a training step costs, part by part: binary student against float twin, plain layers, arithmetic.

    python -m benchmarks.step [--networks=reactnet_small,quicknet,reactnet_a] [--seconds=40]

The step is BSSL's stage 2 with both views. The float twin is the same network without quantizers. *Plain* layers
are Larq's and Keras's own, as in inference, in place of `bssl_tf.models.fused`. The floor is the multiply-accumulates
of all convolutions and dense layers (three times those of a forward pass where there are gradients), divided by
the rate of one large matrix product. All parts of a network are timed in turn, several times; the shortest time counts.
Three ratios are medians over these rounds, each of times that follow one another, which a machine that is slower for
a while does not change: the teacher's share, and those to the float twin and to plain layers. So are the ratios of the
variants, which are processes of their own, each with a peak of memory, and take turns. Shares of the step and
ratios to the floor are of the shortest times; a part that is a difference of two of these has neither share nor rate
where it comes out negative. `benchmarks.step_torch` compares with the same step in PyTorch.
"""

import contextlib
import functools
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator

from absl import flags
from rich.console import Console

from benchmarks.report import Result, Table, best_seconds
from benchmarks.step_parts import (
    ABOUT_TARGET,
    SETUPS,
    Setup,
    macs_of,
    parts_of_step,
    row_of_part,
    student_of,
    teacher_of,
)
from bssl_tf.config.execution import PRECISIONS
from bssl_tf.console import run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

NETWORKS = flags.DEFINE_list("networks", ["reactnet_small", "quicknet", "reactnet_a"], "Students to measure.")
SECONDS = flags.DEFINE_float("seconds", 40.0, "Time for each network's timings, at least six rounds.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/step.json.")
VARIANTS = ("float32", "4 micro batches", "mixed_bfloat16")
_BATCHES_OF_VIEWS = 40


def measure(name: str, budget: float) -> dict:
    """Seconds of each part, and the floor; runs in a process of its own."""
    import tensorflow as tf

    from bssl_tf.models import BINARY, FLOAT

    setup = SETUPS[name]
    images = tf.random.uniform((2 * setup.batch, setup.image_size, setup.image_size, setup.channels), 0, 255)
    teacher = teacher_of(setup)
    timed: dict[str, Callable] = {}  # in the order of the variants, so that what is compared runs side by side
    for variant, mode, layers in (("", BINARY, contextlib.nullcontext), (" twin", FLOAT, contextlib.nullcontext),
                                  (" plain", BINARY, _plain_layers)):  # fmt: skip
        with layers():
            parts = parts_of_step(setup, teacher, student_of(name, setup, mode), images)
            for part in parts if not variant else ("step, features cached",):
                timed[part + variant] = parts[part]
                parts[part]()  # traced here, with these layers
    square = tf.random.normal((2048, 2048))
    timed["matrix product"] = tf.function(lambda: tf.matmul(square, square), autograph=False)
    rounds = rounds_in_turn(timed, budget)
    seconds = {part: min(times) for part, times in rounds.items()}
    student_macs, teacher_macs = (macs_of(model) for model in (student_of(name, setup, BINARY), teacher))
    per_mac = seconds["matrix product"] / 2048**3
    cached = "step, features cached"
    return seconds | {
        "share of teacher": _ratio(rounds, "teacher", "step"),
        "of twin": _ratio(rounds, cached, f"{cached} twin"),
        "of plain": _ratio(rounds, cached, f"{cached} plain"),
        "input pipeline": _seconds_of_views(setup),
        "student floor": 3 * student_macs * 2 * setup.batch * per_mac,
        "teacher floor": teacher_macs * 2 * setup.batch * per_mac,
        "gflops": 2e-9 / per_mac,
    }


def rounds_in_turn(timed: dict[str, Callable], budget: float) -> dict[str, list[float]]:
    """Seconds of each, run in turn for `budget` seconds, at least six times."""
    rounds: dict[str, list[float]] = {part: [] for part in timed}
    end = time.perf_counter() + budget
    while len(rounds[next(iter(timed))]) < 6 or time.perf_counter() < end:
        for part, run in timed.items():
            start = time.perf_counter()
            run()
            rounds[part].append(time.perf_counter() - start)
    return rounds


def _ratio(rounds: dict[str, list[float]], part: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(rounds[part], rounds[other], strict=True))


_prepared: list[Callable] = []
"""The step of this process, where it is one of those of `variants`."""


def variants(name: str, budget: float) -> list[tuple]:
    """Rows of the table of variants: a process each, which take turns for `budget` seconds, six times at least."""
    with contextlib.ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        processes = {each: stack.enter_context(spawn.Pool(1, import_tensorflow)) for each in VARIANTS}
        for variant, process in processes.items():
            process.apply(_prepare, (name, variant))
        timed = {variant: functools.partial(process.apply, _run) for variant, process in processes.items()}
        rounds = rounds_in_turn(timed, budget)
        return [
            (name, each, 1e3 * min(rounds[each]), _ratio(rounds, each, VARIANTS[0]), processes[each].apply(_peak_gb))
            for each in VARIANTS
        ]


def _prepare(name: str, variant: str) -> None:
    """Make a step with cached features, and run it once."""
    import tensorflow as tf

    from bssl_tf.models import BINARY

    if variant in PRECISIONS:
        tf.keras.mixed_precision.set_global_policy(variant)
    setup = SETUPS[name]
    images = tf.random.uniform((2 * setup.batch, setup.image_size, setup.image_size, setup.channels), 0, 255)
    micro_batches = 4 if variant == "4 micro batches" else 1
    student = student_of(name, setup, BINARY)
    _prepared.append(parts_of_step(setup, teacher_of(setup), student, images, micro_batches)["step, features cached"])
    _run()


def _run() -> None:
    _prepared[0]()


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _seconds_of_views(setup: Setup) -> float:
    """For a batch of views of decoded images in memory."""
    import numpy as np

    from bssl_tf.config.training import ViewSettings
    from bssl_tf.data import training_views
    from bssl_tf.data.sources.arrays import ArraySource

    shape = (4 * setup.batch, setup.image_size, setup.image_size, setup.channels)
    source = ArraySource("noise", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    options = dict(image_size=setup.image_size, channels=setup.channels, views=ViewSettings())
    batches = iter(training_views(source, seed=0, batch_size=setup.batch, epochs=100_000, **options))

    def many() -> None:  # far more than are prefetched
        for _ in range(_BATCHES_OF_VIEWS):
            next(batches)

    return best_seconds(many, repeats=2) / _BATCHES_OF_VIEWS


@contextlib.contextmanager
def _plain_layers() -> Iterator[None]:
    """Within the block layers are traced in the form that they have in inference."""
    import tensorflow as tf

    from bssl_tf.models.layers import LearnableBias, QuantConv2D, RPReLU

    fused = {layer: layer.call for layer in (LearnableBias, QuantConv2D, RPReLU)}

    def as_in_inference(call: Callable) -> Callable:
        return tf.autograph.experimental.do_not_convert(
            lambda self, inputs, training=None: call(self, inputs, training=False)
        )

    for layer, call in fused.items():
        layer.call = as_in_inference(call)
    try:
        yield
    finally:
        for layer, call in fused.items():
            layer.call = call


def _table(name: str, seconds: dict) -> Table:
    setup, step = SETUPS[name], seconds["step"]
    cached, both = seconds["step, features cached"], seconds["student forward + backward"]
    rows = [
        ("step", step, None),
        ("teacher forward", seconds["teacher"], seconds["teacher floor"]),
        ("student forward", seconds["student forward"], seconds["student floor"] / 3),
        ("student backward", both - seconds["student forward"], seconds["student floor"] * 2 / 3),
        ("classifiers, losses, optimizer", cached - both, None),
        ("step with cached teacher's features", cached, seconds["student floor"]),
        ("float twin's step, features cached", seconds["step, features cached twin"], seconds["student floor"]),
        ("plain layers' step, features cached", seconds["step, features cached plain"], seconds["student floor"]),
        ("input pipeline alone, from arrays", seconds["input pipeline"], None),
    ]
    return Table(
        f"Training step: {name}, {setup.image_size}×{setup.image_size}×{setup.channels}, {setup.batch} images × 2 "
        f"views, teacher {setup.teacher}, K = {setup.pseudo_classes}",
        ("part", "ms", "of the step", "× floor", "images/s"),
        [row_of_part(*row, step=step, images=setup.batch) for row in rows],
        notes=(
            (
                f"Binary step {seconds['of twin']:.2f} × its float twin's, {seconds['of plain']:.2f} × that of plain "
                f"layers. Matrix product: {seconds['gflops']:.0f} GFLOP/s."
            ),
        ),
    )


def _summary(measured: dict[str, dict]) -> Table:
    rows = []
    for name, seconds in measured.items():
        setup, step, cached = SETUPS[name], seconds["step"], seconds["step, features cached"]
        rows.append(
            (
                f"{name}, {setup.image_size}×{setup.image_size}, teacher {setup.teacher}",
                1e3 * step,
                f"{100 * seconds['share of teacher']:.0f} %",
                1e3 * cached,
                setup.batch / cached,
                seconds["of twin"],
                seconds["of plain"],
                cached / seconds["student floor"],
            )
        )
    return Table(
        "Training step of BSSL, both views, float32",
        (
            *("student", "step, ms", "of it the teacher", "teacher's features cached, ms", "images/s"),
            *("× float twin", "× plain layers", "× arithmetic floor"),
        ),
        rows,
        notes=("The last four columns are of the step with cached features.", ABOUT_TARGET),
    )


def _variants_table(rows: list[tuple]) -> Table:
    return Table(
        "Variants of the step, teacher's features cached, each in a process of its own, in turn",
        ("student", "variant", "ms", f"× {VARIANTS[0]}", "peak memory, GB"),
        rows,
        notes=("Memory is that of the whole process, of which TensorFlow itself takes about half a GB.", ABOUT_TARGET),
    )


def main() -> None:
    console, tables, measured = Console(), [], {}
    unknown = set(NETWORKS.value) - set(SETUPS)
    if unknown:
        raise ConfigError(f"--networks: no setup for {', '.join(unknown)}; there are {', '.join(SETUPS)}.")

    def alone(function: Callable, *arguments):
        with multiprocessing.get_context("spawn").Pool(1, import_tensorflow) as pool:
            return pool.apply(function, arguments)

    for name in NETWORKS.value:
        measured[name] = alone(measure, name, SECONDS.value)
        tables.append(_table(name, measured[name]))
        Result("step", tables[-1:]).show(console)
    with_variants = [name for name in NETWORKS.value if name != "quicknet"]
    tables.append(_variants_table([row for name in with_variants for row in variants(name, SECONDS.value)]))
    result = Result("step", [_summary(measured), *tables])
    Result("step", tables[-1:]).show(console)
    if SAVE.value:
        console.print(result.save())


if __name__ == "__main__":
    run_entry_point(main, __doc__)
