"""Measures: opens data and networks, checks all jobs first, then runs one after another. Imports TensorFlow."""

import dataclasses
import functools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bssl_tf.config.training import ViewSettings
from bssl_tf.console import console, print_warning
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.evaluation.data_sets import DataSet
from bssl_tf.evaluation.protocols.base import Network, Task
from bssl_tf.evaluation.results import Job, Results
from bssl_tf.native_logs import import_tensorflow

import_tensorflow()

from bssl_tf.evaluation.feature_store import FeatureStore, image_of  # noqa: E402
from bssl_tf.evaluation.labelled_data import LabelledData, labelled  # noqa: E402
from bssl_tf.progress import TrainingProgress  # noqa: E402
from bssl_tf.runs import EvaluationFolder  # noqa: E402

_FEW_TEST_IMAGES = 100


@dataclass(frozen=True)
class Workspace:
    """Data and networks, opened.

    Attributes:
        data: name → labelled images.
        networks: name → what was evaluated, this time or before.
        models: name → loaded network; grows as more are needed.
        folder: where features are kept; None: nowhere.
    """

    data: dict[str, LabelledData]
    networks: dict[str, Network]
    models: dict[str, Any]
    folder: Path | None

    def model(self, network: str) -> Any:
        if network not in self.models:
            self.models[network] = self.networks[network].load()
        return self.models[network]

    def features(self, network: str, data: str) -> FeatureStore:
        folder = self.folder and EvaluationFolder(self.folder).features
        return FeatureStore(folder, self.networks[network], self.data[data], lambda: self.model(network))


def opened(data_sets: list[DataSet], networks: list[Network], workdir: Path | None, output: Path | None) -> Workspace:
    """Open the data.

    Args:
        data_sets: which images.
        networks: all networks; each is loaded when it is needed.
        workdir: where a folder's checked files are remembered.
        output: where features, subsets and classifiers are kept; None: nowhere.

    Raises:
        UserError: a data set is missing, or its labels are not fit to evaluate on.
    """
    data = {data_set.name: _open(data_set, workdir) for data_set in data_sets}
    return Workspace(data, {network.name: network for network in networks}, {}, output)


def fitting(jobs: list[Job], workspace: Workspace) -> list[Job]:
    """The jobs without those of networks that cannot be judged on the data, each of which is named to the user.

    Args:
        jobs: what is to be measured.
        workspace: the opened data.

    Raises:
        UserError: the user has named such a network.
    """
    fit, told = [], set()
    for job in jobs:
        network = job.network
        if not (why := job.protocol.misfit(network, workspace.data[job.data_name])):
            fit.append(job)
        elif network.requested:
            raise UserError(
                f"--model={network.path} cannot be evaluated on {job.data_name}: {why}. Evaluate it by "
                "itself, with --dataset of its own images."
            )
        elif network.name not in told:
            told.add(network.name)
            console.print(
                f"[yellow]note[/]: {network.name} is left out: {why}. Evaluate it by itself: "
                f"--model={network.path} --dataset=…"
            )
    return fit


def measure(jobs: list[Job], workspace: Workspace, results: Results, views: ViewSettings) -> None:
    """Measure, and put every score into `results` at once.

    Args:
        jobs: what to measure, sorted by data set and network.
        workspace: data and networks.
        results: where scores go.
        views: of the run, whose crops and flips serve to train with labels.

    Raises:
        UserError: data that a protocol cannot work on, or a network that cannot be loaded, before anything is computed.
    """
    for job in jobs:
        data = workspace.data[job.data_name]
        if data.several_labels and not job.protocol.several_labels:
            raise ConfigError(
                f"--protocols: {job.protocol.name} needs one label an image, and those of {data.name} have several: "
                "use --protocols=svm,linear."
            )
        job.protocol.check(data)
    for job in jobs:
        workspace.model(job.network.name)
    task, shown = None, None
    for job in jobs:
        used = workspace.data[job.data_name]
        model = functools.partial(workspace.model, job.network.name)
        if task is None or task.network is not job.network or task.data is not used:
            features = workspace.features(job.network.name, used.name)  # in memory for as long as the task
            folder = workspace.folder
            task = Task(job.network, used, model, features, views.without_colours(), folder, _progress, _log)
        title = f"{used.name}: {job.protocol.name} of {job.network.name} …"
        if title != shown:
            console.print(title)
            shown = title
        started = time.monotonic()
        scores = job.protocol.run(task, **job.part)
        facts = {
            "feature_size": _width(model()) if job.network.class_names is None else None,
            "image": list(image_of(model())),
            "training_images": len(used.train_labels),
            "test_images": len(used.test_labels),
        }
        results.put(job, scores, time.monotonic() - started, facts)


def _open(data_set: DataSet, workdir: Path | None) -> LabelledData:
    name, (train, test) = data_set.name, data_set.sources(workdir)
    with data_set.naming_its_flag():
        data = labelled(name, train, test, dataclasses.asdict(data_set.settings))
    if data.several_labels:
        return data
    count = len(data.test_labels)
    if count < _FEW_TEST_IMAGES:
        print_warning(
            f"{name}: {count} test images measure an accuracy to about ±{98 / math.sqrt(count):.0f} points. Give more: "
            "raise --max_test_images, or train with a larger --holdout of the folder."
        )
    unseen = sorted(set(data.train_labels.tolist()) - set(data.test_labels.tolist()))
    if unseen:
        names = ", ".join(data.class_names[label] for label in unseen[:5])
        console.print(f"[yellow]note[/]: {name}: {len(unseen)} classes have no test images ({names} …)")
    return data


def _width(model: Any) -> int:
    return model.output_shape[-1] if hasattr(model, "output_shape") else model.report.outputs[0].shape[-1]


def _log(line: str) -> None:
    console.print(f"  {line}")


def _progress(title: str, steps: int, steps_per_epoch: int, batch_size: int) -> TrainingProgress:
    return TrainingProgress(
        f"  {title}",
        total_steps=steps,
        start_step=0,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        console=console,
    )
