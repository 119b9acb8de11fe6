"""What folding and the way of conversion bring: operators, bytes, seconds, and milliseconds of the interpreter.

    python -m benchmarks.conversion [--run=WORKDIR --data_dir=DATA] [--quick]

Two networks: ReActNet-A on 224 pixels with random weights, biases and batch norm statistics; and, with --run, the
student of a finished run, on its real test images, together with the accuracy of its float teacher when that is stored
with 8- and 16-bit weights. Folded and unfolded files are timed in turns, on one thread. The interpreter on x86 has
reference code for binary convolutions: it tells what the other operators cost, and nothing about a phone.
"""

import functools
import operator
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import flags
from rich.console import Console

from benchmarks.report import Result, Table
from bssl_tf.console import run_entry_point
from bssl_tf.native_logs import held_back_stderr, import_tensorflow

RUN = flags.DEFINE_string("run", None, "Workdir of a finished run whose student and teacher are measured too.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the run's data set lies, if not where the run found it.")
QUICK = flags.DEFINE_bool("quick", False, "ReActNet-A on 32 pixels, few images, nothing saved.")
ROUNDS = 5
ELEMENTWISE = ("ADD", "SUB", "MUL", "DIV", "NEG", "RELU", "PRELU", "MAXIMUM")


def reactnet_a(image_size: int):
    """The network with weights as irregular as trained ones: fresh biases are zeros, which hide operators."""
    from bssl_tf.models import BackboneSpec, build_backbone

    rng = np.random.default_rng(0)
    model = build_backbone(BackboneSpec("reactnet_a", image_size, 3, (120.0,) * 3, (60.0,) * 3))
    ranges = {"gamma": (0.5, 2), "moving_variance": (0.5, 2), "slope": (-0.2, 0.5)}
    for variable in model.variables:
        kind = variable.name.split("/")[-1].split(":")[0]
        if kind in ranges:
            variable.assign(rng.uniform(*ranges[kind], variable.shape))
        elif kind != "kernel":
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def by_saved_model(backbone) -> bytes:
    """Conversion as it was before: the network as it is, its variables and a traced call in a SavedModel."""
    import larq_compute_engine as lce
    import tensorflow as tf

    shape = (1, *backbone.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, "uint8", name="pixels")], autograph=False)
    def serve(pixels):
        return {"features": backbone(tf.cast(pixels, tf.float32), training=False)}

    exported = tf.Module()
    exported.weights, exported.serve = backbone.variables, serve
    with tempfile.TemporaryDirectory() as folder, held_back_stderr():
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(exported, folder, signatures={"serving_default": serve}, options=options)
        return lce.convert_saved_model(folder)


def timed(convert: Callable[[], bytes]) -> tuple[bytes, float]:
    start = time.perf_counter()
    content = convert()
    return content, time.perf_counter() - start


def milliseconds(files: dict[str, bytes], image: np.ndarray) -> dict[str, float]:
    """Shortest time of each file for one image on one thread; the files take turns."""
    from bssl_tf.deploy import TfliteBackbone

    networks = {name: TfliteBackbone(content, num_threads=1) for name, content in files.items()}
    times = {name: [] for name in networks}
    for _ in range(ROUNDS + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network.features(image)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: min(taken[1:]) for name, taken in times.items()}


def measured(name: str, model, images: np.ndarray) -> tuple[list[tuple], list[tuple], list[tuple]]:
    """Rows of the three tables about one network: files, deviations, and operators by kind."""
    from bssl_tf.deploy import compare, convert_backbone, inspect_file
    from bssl_tf.deploy.folding import fewest_bytes, fold

    ways = {
        "SavedModel, not folded": lambda: by_saved_model(model),
        "bare graph, not folded": lambda: convert_backbone(model, folded=False),
        "bare graph, folded": lambda: convert_backbone(model),
    }
    converted = {way: timed(convert) for way, convert in ways.items()}
    times = milliseconds({way: content for way, (content, _) in converted.items()}, images[:1])
    least, sizes, deviations, operators = fewest_bytes(fold(model)), [], [], []
    for way, (content, seconds) in converted.items():
        report, parity = inspect_file(content), compare(model, content, [images])
        elementwise = sum(report.operators.get(kind, 0) for kind in ELEMENTWISE)
        count = sum(report.operators.values())
        sizes.append((name, way, seconds, count, elementwise, report.file_bytes, times[way]))
        excess = report.file_bytes / least
        shares = parity.agreeing, parity.expected_agreeing
        proven = "yes" if parity.ok else "no" if parity.conclusive else "too few images"
        deviations.append((name, way, excess, parity.largest_deviation, parity.median_relative, *shares, proven))
        operators.append((name, way, ", ".join(f"{count} {kind}" for kind, count in report.operators.items())))
    return sizes, deviations, operators


def teacher_in_fewer_bits(workdir: Path, data, every: int) -> list[tuple]:
    """20-NN accuracy of the run's float teacher, converted, with weights of 32, 16 and 8 bits."""
    from bssl_tf.data import evaluation_images, load_source
    from bssl_tf.deploy import TfliteBackbone, convert_backbone
    from bssl_tf.deploy.flatbuffer.float_weights import FLOAT_WEIGHTS, with_float_weights
    from bssl_tf.evaluation.features import extract_features
    from bssl_tf.evaluation.protocols.knn import knn_accuracy
    from bssl_tf.models import load_backbone

    teacher, spec = load_backbone(workdir / "teacher")
    options = dict(image_size=spec.image_size, channels=spec.channels)
    train, test = (load_source(data, split, None) for split in ("train", "test"))
    images = {
        split: list(evaluation_images(split, every=every, **options).as_numpy_iterator()) for split in (train, test)
    }
    content, rows, exact = convert_backbone(teacher), [], {}
    for kind in FLOAT_WEIGHTS:
        file = with_float_weights(content, kind)
        network = TfliteBackbone(file)
        features = {split: extract_features(network, images[split]) for split in (train, test)}
        exact = exact or features
        norms = np.linalg.norm(exact[test], axis=1)
        moved = float(np.median(np.linalg.norm(features[test] - exact[test], axis=1) / norms))
        labels = {split: split.labels[::every] for split in (train, test)}
        accuracy = knn_accuracy(features[train], labels[train], features[test], labels[test])
        rows.append((kind, len(file), moved, 100 * accuracy))
    return rows


def main() -> None:
    import_tensorflow()
    size = 32 if QUICK.value else 224
    noise = np.random.default_rng(1).integers(0, 256, (8 if QUICK.value else 64, size, size, 3)).astype(np.uint8)
    by_saved_model(reactnet_a(32))  # what is only done once in a process shall not count
    networks: list[tuple] = [(f"ReActNet-A, {size}×{size}, random", reactnet_a(size), noise)]
    rows_of_teacher: list[tuple] | None = None
    every = 200 if QUICK.value else 10
    if RUN.value:
        student, images, data = _of_run(Path(RUN.value))
        networks.append((f"{student.name}, trained on {data.dataset}", student, images))
        rows_of_teacher = teacher_in_fewer_bits(Path(RUN.value), data, every)
    rows = [[*of_one] for of_one in zip(*(measured(*network) for network in networks), strict=True)]
    sizes, deviations, operators = (functools.reduce(operator.iadd, parts, []) for parts in rows)
    tables = [
        Table(
            "Conversion for Larq Compute Engine; interpreter on one thread",
            ("network", "way", "conversion, s", "operators", "float elementwise", "bytes", "interpreter, ms"),
            sizes,
            ("Conversions are timed once. On x86 the interpreter tells nothing about a phone.",),
        ),
        Table(
            "Converted files beside Keras",
            ("network", "way", "× least bytes", "largest deviation", "median relative")
            + ("images agreeing", "expected agreeing", "parity proven"),
            deviations,
            ("Least bytes: a bit a binary weight, 4 bytes other numbers. Agreeing: see `bssl_tf/deploy/parity.py`.",),
        ),
        Table("Operators by kind", ("network", "way", "operators"), operators),
    ]
    if rows_of_teacher:
        title = f"Float teacher of the run, its weights stored in fewer bits; every {every}th image"
        tables.append(Table(title, ("weights", "bytes", "median relative deviation", "20-NN %"), rows_of_teacher))
    result, console = Result("conversion", tables), Console()
    result.show(console)
    if not QUICK.value:
        console.print(result.save())


def _of_run(workdir: Path):
    """Student, test images (256) and data settings of a finished run."""
    import dataclasses

    from bssl_tf.config import saved
    from bssl_tf.data import evaluation_images, load_source
    from bssl_tf.models import load_backbone

    data = saved.load(workdir / "config.json").data
    if DATA_DIR.value:
        data = dataclasses.replace(data, data_dir=DATA_DIR.value)
    student, spec = load_backbone(workdir / "stage2")
    test = load_source(data, "test", None)
    options = dict(image_size=spec.image_size, channels=spec.channels, every=max(1, test.num_examples // 256))
    return student, np.concatenate(list(evaluation_images(test, **options).as_numpy_iterator())), data


if __name__ == "__main__":
    run_entry_point(main, __doc__)
