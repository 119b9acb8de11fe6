"""Networks and parts of the training step that `benchmarks.step`, `step_operators` and `step_torch` time."""

from collections.abc import Callable
from dataclasses import dataclass

ABOUT_TARGET = "--target=joint, whose batch can be split, and teacher's features that are not standardised."
"""Of `parts_of_step`, for the notes of tables."""


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


def _spec(name: str, setup: Setup, mode: str):
    from bssl_tf.models import BackboneSpec

    pixels = dict(mean=(120.0,) * setup.channels, std=(60.0,) * setup.channels)
    return BackboneSpec(name, image_size=setup.image_size, channels=setup.channels, mode=mode, **pixels)


def teacher_of(setup: Setup):
    from bssl_tf.models import FLOAT, build_backbone

    return build_backbone(_spec(setup.teacher, setup, FLOAT))


def student_of(name: str, setup: Setup, mode: str):
    from bssl_tf.models import BINARY, FLOAT, build_backbone, build_float_twin

    if mode == FLOAT:
        return build_float_twin(_spec(name, setup, BINARY))
    return build_backbone(_spec(name, setup, mode))


def parts_of_step(setup: Setup, teacher, student, images, micro_batches: int = 1) -> dict[str, Callable]:
    import tensorflow as tf

    from bssl_tf.methods.bssl import Bssl

    joint = dict(target="joint", standardise=False)
    method = Bssl(teacher, student, pseudo_classes=setup.pseudo_classes, **joint)
    method.compile(tf.keras.optimizers.Adam(1e-4), micro_batches=micro_batches)
    views = (images[: setup.batch], images[setup.batch :])
    targets = tf.cast(tf.stack([teacher(view) for view in views], axis=1), tf.float16)

    @tf.function(autograph=False)
    def forward_and_backward():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(student(images, training=True)))
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, student.trainable_variables)]

    return {
        "student forward": tf.function(lambda: student(images, training=True), autograph=False),
        "student forward + backward": forward_and_backward,
        "teacher": tf.function(lambda: teacher(images, training=False), autograph=False),
        "step": tf.function(lambda: method.train_step((views,)), autograph=False),
        "step, features cached": tf.function(lambda: method.train_step((views, targets)), autograph=False),
    }


def row_of_part(part: str, seconds: float, floor: float | None, *, step: float, images: int) -> tuple:
    """Part, ms, share of the step, × floor, images/s; of a difference of two times that is negative only the ms."""
    share, rate = (f"{100 * seconds / step:.0f} %", images / seconds) if seconds > 0 else (None, None)
    return part, 1e3 * seconds, share, seconds / floor if floor and seconds > 0 else None, rate


def macs_of(model) -> int:
    """Multiply-accumulates of one image."""
    from bssl_tf.deploy import deployment_plan

    plan = deployment_plan(model)
    return plan.binary_macs + plan.float_macs
