"""What a training step costs, part by part: binary student against float twin, plain layers, arithmetic.

    python -m benchmarks.step [--networks=reactnet_small,quicknet,reactnet_a] [--repeats=7]

The step is BSSL's stage 2 with both views. The float twin is the same network without quantizers. *Plain* layers are
Larq's and Keras's own, as in inference, in place of `bssl_tf.models.fused`. The floor is the multiply-accumulates of all
convolutions and dense layers (three times those of a forward pass where there are gradients), divided by the
rate of one large matrix product. All parts of a network are timed in turn, several times; the shortest time counts.
"""

import contextlib
import multiprocessing
import resource
import time
from dataclasses import dataclass
from typing import Callable, Iterator

from absl import app, flags
from rich.console import Console

from benchmarks.report import Result, Table

NETWORKS = flags.DEFINE_list("networks", ["reactnet_small", "quicknet", "reactnet_a"], "Students to measure.")
REPEATS = flags.DEFINE_integer("repeats", 7, "Timings of each part, the shortest of which counts.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/step.json.")


@dataclass(frozen=True)
class Setup:
    image_size: int
    channels: int
    batch: int
    teacher: str
    pseudo_classes: int


SETUPS = {
    "reactnet_small": Setup(28, 1, 128, "resnet_small", 256),
    "quicknet": Setup(224, 3, 16, "resnet18", 1000),
    "reactnet_a": Setup(224, 3, 8, "resnet50", 2000),
}
PARTS = ("step", "step, features cached", "teacher", "student forward", "student forward + backward")


def measure(name: str, repeats: int) -> dict:
    """Seconds of each part, and the floor; runs in a process of its own."""
    import tensorflow as tf

    from bssl_tf.models import BINARY, FLOAT

    setup = SETUPS[name]
    images = tf.random.uniform((2 * setup.batch, setup.image_size, setup.image_size, setup.channels), 0, 255)
    teacher = _teacher(setup)
    timed: dict[str, Callable] = {}
    for variant, mode, layers in (("", BINARY, contextlib.nullcontext), (" twin", FLOAT, contextlib.nullcontext),
                                  (" plain", BINARY, _plain_layers)):  # fmt: skip
        with layers():
            parts = _parts(setup, teacher, _student(name, setup, mode), images)
            for part in parts if not variant else ("step, features cached", "student forward + backward"):
                timed[part + variant] = parts[part]
                parts[part]()  # traced here, with these layers
    timed["input pipeline"] = _pipeline(setup)
    square = tf.random.normal((2048, 2048))
    timed["matrix product"] = tf.function(lambda: tf.matmul(square, square))
    seconds = dict.fromkeys(timed, float("inf"))
    for _ in range(repeats + 1):
        for part, run in timed.items():
            start = time.perf_counter()
            run()
            seconds[part] = min(seconds[part], time.perf_counter() - start)
    student_macs, teacher_macs = (_macs(model) for model in (_student(name, setup, BINARY), teacher))
    per_mac = seconds["matrix product"] / 2048**3
    return seconds | {
        "student floor": 3 * student_macs * 2 * setup.batch * per_mac,
        "teacher floor": teacher_macs * 2 * setup.batch * per_mac,
        "gflops": 2e-9 / per_mac,
    }


def peak_memory(name: str, variant: str) -> float:
    """Peak of a process's memory in GB after three steps; runs in a process of its own."""
    import tensorflow as tf

    from bssl_tf.models import BINARY

    if variant == "mixed_bfloat16":
        tf.keras.mixed_precision.set_global_policy(variant)
    setup = SETUPS[name]
    images = tf.random.uniform((2 * setup.batch, setup.image_size, setup.image_size, setup.channels), 0, 255)
    with _plain_layers() if variant == "plain layers" else contextlib.nullcontext():
        micro_batches = 4 if variant == "4 micro batches" else 1
        step = _parts(setup, _teacher(setup), _student(name, setup, BINARY), images, micro_batches)["step"]
        for _ in range(3):
            step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _spec(name: str, setup: Setup, mode: str):
    from bssl_tf.models import BackboneSpec

    pixels = dict(mean=(120.0,) * setup.channels, std=(60.0,) * setup.channels)
    return BackboneSpec(name, image_size=setup.image_size, channels=setup.channels, mode=mode, **pixels)


def _teacher(setup: Setup):
    from bssl_tf.models import FLOAT, build_backbone

    return build_backbone(_spec(setup.teacher, setup, FLOAT))


def _student(name: str, setup: Setup, mode: str):
    from bssl_tf.models import BINARY, FLOAT, build_backbone
    from bssl_tf.models.quantization import Binarisation
    from bssl_tf.models.zoo import ZOO, rebuild

    if name in ZOO and mode == FLOAT:  # the zoo has no float mode, but a twin can be had
        return rebuild(build_backbone(_spec(name, setup, BINARY)), Binarisation(FLOAT))
    return build_backbone(_spec(name, setup, mode))


def _parts(setup: Setup, teacher, student, images, micro_batches: int = 1) -> dict[str, Callable]:
    import tensorflow as tf

    from bssl_tf.methods.bssl import Bssl

    method = Bssl(teacher, student, pseudo_classes=setup.pseudo_classes)
    method.compile(tf.keras.optimizers.Adam(1e-4), micro_batches=micro_batches)
    views = (images[: setup.batch], images[setup.batch :])
    known = tf.cast(tf.stack([teacher(view) for view in views], axis=1), tf.float16)

    @tf.function
    def forward_and_backward():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(student(images, training=True)))
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, student.trainable_variables)]

    return {
        "step": tf.function(lambda: method.train_step((views,))),
        "step, features cached": tf.function(lambda: method.train_step((views, known))),
        "teacher": tf.function(lambda: teacher(images, training=False)),
        "student forward": tf.function(lambda: student(images, training=True)),
        "student forward + backward": forward_and_backward,
    }


def _pipeline(setup: Setup) -> Callable[[], None]:
    """A batch of views from decoded images in memory."""
    import numpy as np

    from bssl_tf.config import ViewSettings
    from bssl_tf.data import training_views
    from bssl_tf.data.arrays import ArraySource

    shape = (4 * setup.batch, setup.image_size, setup.image_size, setup.channels)
    source = ArraySource("noise", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    options = dict(image_size=setup.image_size, channels=setup.channels, views=ViewSettings())
    batches = iter(training_views(source, seed=0, batch_size=setup.batch, epochs=100_000, **options))

    def eight() -> None:  # more than are prefetched
        for _ in range(8):
            next(batches)

    eight()
    return eight


@contextlib.contextmanager
def _plain_layers() -> Iterator[None]:
    """Within the block layers are traced in the form that they have in inference."""
    from bssl_tf.models.layers import LearnableBias, QuantConv2D, RPReLU

    fused = {layer: layer.call for layer in (LearnableBias, QuantConv2D, RPReLU)}
    for layer, call in fused.items():
        layer.call = lambda self, inputs, training=None, call=call: call(self, inputs, training=False)
    try:
        yield
    finally:
        for layer, call in fused.items():
            layer.call = call


def _macs(model) -> int:
    from bssl_tf.deploy import deployment_plan

    plan = deployment_plan(model)
    return plan.binary_macs + plan.float_macs


def _table(name: str, seconds: dict) -> Table:
    setup, step = SETUPS[name], seconds["step"]
    cached, both = seconds["step, features cached"], seconds["student forward + backward"]
    pipeline = seconds["input pipeline"] / 8
    rows = [
        ("step", step, None),
        ("teacher forward", seconds["teacher"], seconds["teacher floor"]),
        ("student forward", seconds["student forward"], seconds["student floor"] / 3),
        ("student backward", both - seconds["student forward"], seconds["student floor"] * 2 / 3),
        ("classifiers, losses, optimizer", cached - both, None),
        ("step with cached teacher's features", cached, seconds["student floor"]),
        ("float twin's step, features cached", seconds["step, features cached twin"], seconds["student floor"]),
        ("plain layers' step, features cached", seconds["step, features cached plain"], seconds["student floor"]),
        ("input pipeline alone, from arrays", pipeline, None),
    ]
    ratio = cached / seconds["step, features cached twin"]
    return Table(
        f"Training step: {name}, {setup.image_size}×{setup.image_size}×{setup.channels}, {setup.batch} images × 2 views, "
        f"teacher {setup.teacher}, K = {setup.pseudo_classes}",
        ("part", "ms", "of the step", "× floor", "images/s"),
        [
            (part, 1e3 * value, f"{100 * value / step:.0f} %", floor and value / floor, setup.batch / value)
            for part, value, floor in rows
        ],
        notes=(
            f"Binary step {ratio:.2f} × its float twin's, {cached / seconds['step, features cached plain']:.2f} × that of "
            f"plain layers. Matrix product: {seconds['gflops']:.0f} GFLOP/s.",
        ),
    )


VARIANTS = ("as it is", "plain layers", "4 micro batches", "mixed_bfloat16")


def main(argv: list[str]) -> None:
    console, tables = Console(), []
    unknown = set(NETWORKS.value) - set(SETUPS)
    if unknown:
        raise app.UsageError(f"--networks: no setup for {', '.join(unknown)}; there are {', '.join(SETUPS)}.")

    def alone(function: Callable, *arguments):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(function, arguments)

    for name in NETWORKS.value:
        tables.append(_table(name, alone(measure, name, REPEATS.value)))
        Result("step", tables[-1:]).show(console)
    memory = [(name, *(alone(peak_memory, name, variant) for variant in VARIANTS)) for name in NETWORKS.value]
    tables.append(Table("Peak memory of training, GB, the process as a whole", ("student", *VARIANTS), memory))
    result = Result("step", tables)
    Result("step", tables[-1:]).show(console)
    if SAVE.value:
        console.print(result.save())


if __name__ == "__main__":
    app.run(main)
