"""Trains and measures one run."""

import functools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.finished_runs import cost, fingerprint, run_command
from benchmarks.methods import tasks
from benchmarks.methods.plan import HELD_OUT, SETTINGS, Run, teacher_run
from benchmarks.methods.records import Record
from benchmarks.report import hardware
from bssl_tf.errors import UserError

SCRIPT = ["train.py"]
FASHION = "tfds:fashion_mnist"


@dataclass(frozen=True)
class Place:
    """Where runs are, and their data.

    Args:
        workdir: folder of all runs.
        data_dir: where TFDS keeps fashion_mnist.
    """

    workdir: Path
    data_dir: str

    def folder(self, run: Run) -> Path:
        if run.key == "teacher":
            shared = self.workdir / run.setting / "teacher"
            return shared if SETTINGS[run.setting].shared_teacher else shared / f"seed{run.seed}"
        return self.workdir / run.setting / f"{run.key}-{fingerprint(run.arguments)}"


def execute(run: Run, place: Place) -> Record:
    """Train (going on where an earlier attempt stopped) and measure.

    Raises:
        UserError: train.py ended with an error; names its log.
    """
    if run.arguments:
        _train(run, place)
    measured: dict[str, dict[str, float]] = {"accuracies": {}, "held_out": {}}
    if run.key != "features":
        measured = measure(run, place)
    phases = [path.parent for path in sorted(place.folder(run).glob("*/summary.json"))]
    summaries = {phase.name: json.loads((phase / "summary.json").read_text()) for phase in phases}
    return Record(
        arguments=run.arguments,
        seed=run.seed,
        **measured,
        **cost(place.folder(run)),
        final={name: summary["final"] for name, summary in summaries.items()},
        warnings=[warning for summary in summaries.values() for warning in summary["warnings"]],
        hardware=hardware(),
        date=time.strftime("%Y-%m-%d"),
    )


def _train(run: Run, place: Place) -> None:
    """Run train.py, or what fills the feature cache."""
    folder = place.folder(run)
    script = ["-m", "benchmarks.methods.fill_features"] if run.key == "features" else SCRIPT
    command = [sys.executable, *script, *run.arguments, f"--data_dir={place.data_dir}", f"--workdir={folder}"]
    if run.key != "teacher":
        command.append(f"--teacher={place.folder(teacher_run(run.setting, run.seed))}")
    run_command(command, folder, run.name)


def measure(run: Run, place: Place) -> dict[str, dict[str, Any]]:
    """Accuracies of the frozen features, as `Record` has them."""
    from bssl_tf.native_logs import import_tensorflow

    import_tensorflow()
    from bssl_tf.evaluation.features import extract_features
    from bssl_tf.evaluation.protocols.knn import knn_accuracy
    from bssl_tf.evaluation.protocols.linear import fit_linear

    backbone, setting = _backbone(run, place), SETTINGS[run.setting]

    def labelled(split: str, images: int = 0, dataset: str = FASHION) -> tasks.Labelled:
        source, labels = _images(dataset, place.data_dir, split, images)
        return extract_features(backbone, source, f"{dataset} {split}, {run.name}"), labels

    def accuracies(features: tasks.Labelled) -> dict[str, float]:
        return {"knn": knn_accuracy(*train, *features), "linear": fit.accuracy(*features)}

    with threadpool_limits(1):
        train = labelled("train", setting.images)
        fit = fit_linear(*train)
        measured = {"accuracies": {}, "held_out": accuracies(labelled(HELD_OUT))}
        if run.key == "teacher":
            test, own = labelled("test"), labelled("train", setting.teacher_images)
            measured["accuracies"] = accuracies(test)
            measured["tasks"] = {tasks.OWN_NEIGHBOURS: [knn_accuracy(*own, *test)]}
        elif setting.tested:
            test = labelled("test")
            digits = [labelled(split, dataset="digits") for split in ("train", "test")]
            measured["accuracies"] = accuracies(test)
            measured["tasks"] = tasks.few_labels(train, test) | tasks.transfer(*digits)
    return measured


def _backbone(run: Run, place: Place):
    import tensorflow as tf

    from bssl_tf.models import build_backbone, load_backbone

    if run.key != "random":
        return load_backbone(place.folder(run) / ("teacher" if run.key == "teacher" else "stage2"))[0]
    trained = next((place.workdir / run.setting).glob("*/stage2/backbone.json"), None)
    if trained is None:
        raise UserError("the random network is measured after the first student: put it later in --forms.")
    _, spec = load_backbone(trained.parent)
    tf.keras.utils.set_random_seed(run.seed)
    return build_backbone(spec)


@functools.cache
def _images(dataset: str, data_dir: str, split: str, images: int):
    """Batches of images in fixed order, and their labels."""
    from bssl_tf.config.training import DataSettings
    from bssl_tf.data import evaluation_images, load_source

    if dataset == FASHION:
        settings, split = DataSettings(FASHION, data_dir, train_split=split, max_train_images=images), "train"
    else:
        settings = DataSettings(dataset)
    source = load_source(settings, split)
    return evaluation_images(source, image_size=28, channels=1), source.labels
