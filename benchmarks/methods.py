"""Which method teaches a binary student best: the same student, images, views, epochs and optimizer for all.

    python -m benchmarks.methods --data_dir=DATA --workdir=runs/methods [--seeds=0,1,2]

Fashion-MNIST through TFDS. For each seed a float teacher is pretrained by SimCLR, then every method trains the binary
student in two stages; those that distill have that teacher. Features of the frozen students are measured by 20-NN and
by a linear classifier on all test images. What is finished is not done again: stop the command, and give it once more.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from absl import app, flags
from rich.console import Console

from benchmarks.report import Result, Table
from bssl_tf.config.execution import PRECISIONS
from bssl_tf.files import write_json
from bssl_tf.native_logs import import_tensorflow

DATA_DIR = flags.DEFINE_string("data_dir", "", "Where TFDS keeps fashion_mnist.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder for all runs.", required=True)
SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds, each a teacher and a run of every method.")
IMAGES = flags.DEFINE_integer("images", 5000, "Training images.")
EPOCHS = flags.DEFINE_integer("epochs", 6, "Epochs of each of the student's two stages.")
PRECISION = flags.DEFINE_enum("precision", "mixed_bfloat16", PRECISIONS, "Of all training.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/methods.json.")

RUNS = {
    "supervised": ("--method=supervised",),
    "SimCLR": ("--method=simclr",),
    "MoCo v2": ("--method=moco_v2",),
    "BYOL": ("--method=byol",),
    "SwAV": ("--method=swav",),
    "S2-BNN, distillation": ("--method=s2bnn",),
    "S2-BNN, with contrastive term": ("--method=s2bnn", "--method_options=contrastive=1.0"),
    "BSSL": ("--method=bssl",),
    "BSSL, g_θ frozen": ("--method=bssl", "--train_target=false"),
}
RANDOM, TEACHER = "random", "teacher, float (SimCLR)"


def train(seed: str) -> dict[str, Path]:
    """Name → folder of the backbone, for the teacher and every method's student."""
    root = Path(WORKDIR.value) / f"seed{seed}"
    common = (
        "--flagfile=flags/fashion_mnist.cfg",
        f"--data_dir={DATA_DIR.value}",
        f"--max_train_images={IMAGES.value}",
        f"--epochs={EPOCHS.value}",
        f"--seed={seed}",
        f"--precision={PRECISION.value}",
        "--knn_every=0",
    )
    _run("train.py", *common, "--task=teacher", f"--workdir={root / 'teacher'}")
    folders = {TEACHER: root / "teacher" / "teacher"}
    for name, arguments in RUNS.items():
        workdir = root / "".join(letter if letter.isalnum() else "_" for letter in name)
        _run("train.py", *common, *arguments, f"--teacher={root / 'teacher'}", f"--workdir={workdir}")
        folders[name] = workdir / "stage2"
    return folders


def measure(folders: dict[str, Path], seed: str) -> dict[str, dict[str, float]]:
    """Name → 20-NN and linear accuracy, for a random network too; kept beside the runs."""
    path = Path(WORKDIR.value) / f"seed{seed}" / "accuracies.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in [RANDOM, *folders] if name not in known]
    if missing:
        import_tensorflow()
        import tensorflow as tf

        from bssl_tf.config.training import DataSettings
        from bssl_tf.data import evaluation_images, load_source
        from bssl_tf.evaluation.features import extract_features
        from bssl_tf.evaluation.protocols.knn import knn_accuracy
        from bssl_tf.evaluation.protocols.linear import linear_accuracy
        from bssl_tf.models import build_backbone, load_backbone

        settings = dict(dataset="tfds:fashion_mnist", data_dir=DATA_DIR.value, max_train_images=IMAGES.value)
        sources = [load_source(DataSettings(**settings), split) for split in ("train", "test")]
        images = [evaluation_images(source, image_size=28, channels=1) for source in sources]
        for name in missing:
            backbone, spec = load_backbone(folders["BSSL" if name == RANDOM else name])
            if name == RANDOM:
                tf.keras.utils.set_random_seed(int(seed))
                backbone = build_backbone(spec)
            features = [extract_features(backbone, each, f"features of {name}") for each in images]
            labelled = (features[0], sources[0].labels, features[1], sources[1].labels)
            known[name] = {"knn": knn_accuracy(*labelled), "linear": linear_accuracy(*labelled).accuracy}
            write_json(path, known)
    return known


def _run(script: str, *arguments: str) -> None:
    subprocess.run([sys.executable, script, *arguments], check=True)


def _seeds() -> str:
    if len(SEEDS.value) == 1:
        return f"One seed ({SEEDS.value[0]}): differences of a point mean nothing."
    return f"Seeds {', '.join(SEEDS.value)}: mean and standard deviation."


def _cell(values: list[float]) -> str:
    mean = f"{100 * statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def main(argv: list[str]) -> None:
    measured = [measure(train(seed), seed) for seed in SEEDS.value]
    rows = [
        (name, *(_cell([of_seed[name][score] for of_seed in measured]) for score in ("knn", "linear")))
        for name in [RANDOM, *RUNS, TEACHER]
    ]
    table = Table(
        f"Fashion-MNIST, {IMAGES.value} training images, two stages of {EPOCHS.value} epochs, binary student "
        "reactnet_small, 256 features",
        ("method", "20-NN %", "linear %"),
        rows,
        notes=(
            f"{_seeds()} Adam 1e-3, batch 128, views and schedule of "
            f"flags/fashion_mnist.cfg for all, {PRECISION.value}; supervised learns with the labels. Accuracies on all "
            "10 000 test images, of 20 neighbours among, and a classifier trained on, these training images.",
        ),
    )
    result = Result("methods", [table])
    result.show(Console())
    if SAVE.value:
        print(result.save())


if __name__ == "__main__":
    app.run(main)
