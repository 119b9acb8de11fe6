"""How the pipeline's time and memory grow with images and epochs, and a step's memory with batch and pseudo-classes.

    python -m benchmarks.growth [--quick]

Each row is a process of its own, so that its peak of memory is its own; the pipeline's times therefore are not those of
the same minutes. How the time of a step grows, as ratios of rounds taken in turn: `benchmarks.step_growth`.
"""

import multiprocessing
import resource
import time

from absl import flags
from rich.console import Console

from benchmarks.report import Result, Table, best_seconds
from bssl_tf.console import run_entry_point
from bssl_tf.native_logs import import_tensorflow

QUICK = flags.DEFINE_bool("quick", False, "Small sizes only, nothing saved: seconds instead of minutes.")
_PIXELS, _BATCH = 8, 256
_STEP_PIXELS, _STEPS = 28, 4


def of_images(count: int) -> tuple:
    """The pipeline on `count` images of 8×8 pixels in memory."""
    return (f"{count:,}".replace(",", " "), *_pipeline(count, start_epoch=0))


def of_epochs(epoch: int) -> tuple:
    """The pipeline when a run is resumed in the middle of an epoch, 100 000 images of 8×8 pixels."""
    return (epoch, *_pipeline(100_000, start_epoch=epoch))


def of_step(batch: int, pseudo_classes: int) -> tuple:
    """Peak memory in GB of some steps of reactnet_small at 28×28 with cached features."""
    import tensorflow as tf

    from bssl_tf.methods.bssl import Bssl
    from bssl_tf.models import BINARY, FLOAT, BackboneSpec, build_backbone

    pixels = dict(image_size=_STEP_PIXELS, channels=1, mean=(70.0,), std=(90.0,))
    student = build_backbone(BackboneSpec("reactnet_small", mode=BINARY, **pixels))
    teacher = build_backbone(BackboneSpec("resnet_small", mode=FLOAT, **pixels))
    method = Bssl(teacher, student, target="balanced", pseudo_classes=pseudo_classes)
    method.compile(tf.keras.optimizers.Adam(1e-4))
    views = tuple(tf.random.uniform((batch, _STEP_PIXELS, _STEP_PIXELS, 1), 0, 255) for _ in range(2))
    targets = tf.random.normal((batch, 2, student.output_shape[-1]), dtype=tf.float16)
    step = tf.function(lambda: method.train_step((views, targets)), autograph=False)
    for _ in range(_STEPS):
        step()
    return batch, pseudo_classes, _peak_gb()


def _pipeline(count: int, start_epoch: int) -> tuple[float, float, float]:
    """Seconds to the first batch from the middle of an epoch, images a second, peak memory in GB."""
    import numpy as np

    from bssl_tf.config.training import ViewSettings
    from bssl_tf.data import steps_per_epoch, training_views
    from bssl_tf.data.sources.arrays import ArraySource

    images = np.random.default_rng(0).integers(0, 256, (count, _PIXELS, _PIXELS, 1), dtype=np.uint8)
    source = ArraySource("noise", images)
    steps = steps_per_epoch(source, _BATCH)
    start = time.perf_counter()
    batches = iter(
        training_views(
            source,
            image_size=_PIXELS,
            channels=1,
            views=ViewSettings(),
            seed=0,
            batch_size=_BATCH,
            epochs=start_epoch + 1000,
            start_step=start_epoch * steps + steps // 2,
        )
    )
    next(batches)
    first = time.perf_counter() - start

    def many() -> None:
        for _ in range(40):
            next(batches)

    return first, 40 * _BATCH / best_seconds(many, repeats=3), _peak_gb()


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    def rows(function, *sizes) -> list[tuple]:
        measured = []
        for size in sizes[:2] if QUICK.value else sizes:
            with multiprocessing.get_context("spawn").Pool(1, import_tensorflow) as pool:
                measured.append(pool.apply(function, size if isinstance(size, tuple) else (size,)))
        return measured

    pipeline = ("to the first batch, s", "images/s", "peak memory, GB")
    step = ("batch", "K", "peak memory, GB")
    of_pipeline = f"images of {_PIXELS}×{_PIXELS} in memory, two views, batch {_BATCH}, from the middle of an epoch"
    of_network = "Memory of a step of reactnet_small at 28×28, --target=balanced, teacher's features cached"
    about_steps = (f"Of the whole process after {_STEPS} steps; how its time grows: `benchmarks.step_growth`.",)
    by_images, by_epoch = rows(of_images, 10**3, 10**4, 10**5, 10**6), rows(of_epochs, 0, 10, 1000)
    by_batch = rows(of_step, (32, 256), (128, 256), (512, 256))
    by_classes = rows(of_step, (128, 256), (128, 2000), (128, 8000))
    tables = [
        Table(f"Pipeline by number of images: {of_pipeline}", ("images", *pipeline), by_images),
        Table(f"Pipeline by epoch resumed in: 100 000 {of_pipeline}", ("epoch", *pipeline), by_epoch),
        Table(f"{of_network}, by batch", step, by_batch, about_steps),
        Table(f"{of_network}, by pseudo-classes", step, by_classes, about_steps),
    ]
    result, console = Result("growth", tables), Console()
    result.show(console)
    if not QUICK.value:
        console.print(result.save())


if __name__ == "__main__":
    run_entry_point(main, __doc__)
