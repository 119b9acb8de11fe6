"""What each phase trains: a method on the teacher, a method on the student in one or two stages."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from bssl_tf.config.chosen_method import ChosenMethod
from bssl_tf.config.data import ViewSettings
from bssl_tf.config.execution import RunSettings
from bssl_tf.config.learning import OptimizerSettings
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.errors import ConfigError
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.registry import create
from bssl_tf.models import BINARY, BINARY_ACTIVATIONS, BackboneSpec, build_backbone, load_head, load_teacher
from bssl_tf.runs import PhaseFolder, TeacherFiles
from bssl_tf.training.checkpoints import copy_weights, restore_networks
from bssl_tf.training.loop import finish_phase, train_phase
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, Distribution
from bssl_tf.training.optimizers import build_optimizer, warmup_cosine
from bssl_tf.training.phases import Phase
from bssl_tf.training.run_data import RunData, student_spec, teacher_spec
from bssl_tf.training.saved_checkpoints import latest_whole
from bssl_tf.training.teacher_features import TeacherFeatures
from bssl_tf.training.training_data import TrainingData, label_lookup, make_views, training_data

STAGE_MODES = {1: BINARY_ACTIVATIONS, 2: BINARY}


@dataclasses.dataclass(frozen=True)
class Session:
    """What all phases of a run share.

    Attributes:
        data: the images.
        views: strengths and probabilities of the views.
        run: seed, and how often to log, checkpoint and measure 20-NN.
        augment_on: "host" or "device": where jitter, grey and blur are computed.
        decoded_cache_mb: most memory for images that are kept decoded, in MiB.
        console: shows progress.
        distribution: the devices; phases are to be trained within its scope.
    """

    data: RunData
    views: ViewSettings
    run: RunSettings
    augment_on: str
    decoded_cache_mb: int
    console: Console
    distribution: Distribution = ONE_DEVICE


@dataclasses.dataclass(frozen=True)
class FrozenTeacher:
    """The teacher that a student learns from.

    Attributes:
        files: where it lies.
        pixels: what a saved Keras model expects, a key of `models.pixels.PIXEL_RANGES`.
        trusted: whether a saved Keras model may run code of its own.
        features: where its features of views that repeat are kept; None: they are computed at every step.
    """

    files: TeacherFiles
    pixels: str
    trusted: bool = False
    features: TeacherFeatures | None = None

    def load(self, data: RunData) -> tuple[tf.keras.Model, str]:
        """The model, and a line that describes it."""
        return load_teacher(
            self.files.path,
            image_size=data.image_size,
            channels=data.channels,
            pixels=self.pixels,
            trusted=self.trusted,
        )

    def load_head(self, method: str) -> tf.keras.Model:
        """Its pretrained head, for a method that distills it.

        Raises:
            ConfigError: there is none.
        """
        try:
            return load_head(self.files.path)
        except FileNotFoundError:
            raise ConfigError(
                f"--method={method} distills the teacher's pretrained head, and {self.files.path} holds none: pretrain "
                "a teacher here (--teacher=resnet_small, for instance), name such a run, import one with --keep_head, "
                "or use --method=bssl, which needs none."
            ) from None


def train_teacher(
    session: Session, phase: Phase, teacher: TeacherSettings, method: ChosenMethod, optimizer: OptimizerSettings
) -> None:
    """Pretrain the float teacher."""
    tf.keras.utils.set_random_seed(session.run.seed)
    spec = teacher_spec(session.data, teacher)
    targets = label_lookup(session.data) if method.needs("num_classes") else None
    data = _training_data(session, phase, method, optimizer, targets)
    steps = optimizer.epochs * data.steps_per_epoch
    built = create(
        method.name,
        method.options(steps),
        backbone=build_backbone(spec),
        total_steps=steps,
        num_classes=session.data.num_classes,
    )
    _train(session, phase, built, spec, method, optimizer, data)


def train_stage(
    session: Session,
    phase: Phase,
    student: StudentSettings,
    method: ChosenMethod,
    optimizer: OptimizerSettings,
    *,
    teacher: FrozenTeacher | None = None,
    view_cycle: int = 0,
) -> None:
    """Train the student: stage 1 with float weights, stage 2 fully binary, from stage 1 where the phase says so.

    Args:
        session: what all phases share.
        phase: the stage.
        student: its architecture.
        method: how it learns.
        optimizer: epochs, batches, optimizer and schedule.
        teacher: for methods that need one.
        view_cycle: epochs after which views repeat; 0: never.
    """
    tf.keras.utils.set_random_seed((session.run.seed + phase.stage) % 2**32)  # NumPy takes no larger one
    ingredients: dict[str, Any] = {"num_classes": session.data.num_classes}
    targets = label_lookup(session.data) if method.needs("num_classes") else None
    if teacher is not None:
        ingredients["teacher"], description = teacher.load(session.data)
        if not teacher.files.pretrained_here:
            session.console.print(f"teacher: {description}", markup=False)
        if method.needs("teacher_head"):
            ingredients["teacher_head"] = teacher.load_head(method.name)
        if teacher.features is not None:
            targets = teacher.features.lookup(ingredients["teacher"], session.console, session.distribution)
    data = _training_data(session, phase, method, optimizer, targets, view_cycle)
    ingredients["total_steps"] = optimizer.epochs * data.steps_per_epoch
    spec = student_spec(session.data, student, STAGE_MODES[phase.stage])

    def method_on(spec: BackboneSpec) -> Method:
        options = method.options(ingredients["total_steps"])
        return create(method.name, options, backbone=build_backbone(spec), **ingredients)

    built = method_on(spec)
    if phase.starts_from is not None and not _has_begun(phase, session.distribution):
        _carry_over(method_on, dataclasses.replace(spec, mode=STAGE_MODES[1]), phase.starts_from, built)
    _train(session, phase, built, spec, method, optimizer, data)


def _training_data(
    session: Session,
    phase: Phase,
    method: ChosenMethod,
    optimizer: OptimizerSettings,
    targets: Callable | None,
    view_cycle: int = 0,
) -> TrainingData:
    return training_data(
        session.data,
        views=session.views,
        seed=session.run.seed,
        phase=phase.stage,
        batch_size=optimizer.batch_size,
        epochs=optimizer.epochs,
        augment_on=session.augment_on,
        multi_crop=method.description.multi_crop,
        view_cycle=view_cycle,
        targets=targets,
        online_knn=session.run.knn_every > 0,
        decoded_cache_mb=session.decoded_cache_mb,
    )


def _train(
    session: Session,
    phase: Phase,
    built: Method,
    spec: BackboneSpec,
    method: ChosenMethod,
    optimizer: OptimizerSettings,
    data: TrainingData,
) -> None:
    """Compile a method and train it to the end of the phase."""

    def optimizer_at(peak: float) -> tf.keras.optimizers.Optimizer:
        steps, warmup = optimizer.epochs * data.steps_per_epoch, optimizer.warmup_epochs * data.steps_per_epoch
        return build_optimizer(
            optimizer.optimizer,
            warmup_cosine(peak, steps, warmup),
            weight_decay=optimizer.weight_decay,
            momentum=optimizer.momentum,
        )

    others = {
        argument: optimizer_at(optimizer.learning_rate * multiplier)
        for argument, multiplier in method.optimizer_multipliers.items()
    }
    built.compile(
        optimizer_at(optimizer.learning_rate),
        micro_batches=optimizer.micro_batches,
        make_views=make_views(session.views, session.augment_on),
        **others,
    )
    summary = train_phase(
        phase,
        built,
        data,
        epochs=optimizer.epochs,
        run=session.run,
        console=session.console,
        distribution=session.distribution,
    )
    finish_phase(phase, built, spec, summary, session.distribution)


def _has_begun(phase: Phase, distribution: Distribution) -> bool:
    """Whether a phase goes on from a checkpoint of its own, and needs none of the phase before it.

    Raises:
        UserError: it has checkpoints, but none is whole; or the workers have found different ones.
    """
    folder = phase.folder.checkpoints
    latest = latest_whole(folder, repair=False)
    distribution.check_same(
        latest and Path(latest).name,
        lambda who: (
            f"{who} does not see the same latest checkpoint as worker 0 in {folder}: the shared disk may lag behind. "
            "Start again in a minute."
        ),
    )
    return latest is not None


def _carry_over(
    method_on: Callable[[BackboneSpec], Method], spec: BackboneSpec, folder: PhaseFolder, method: Method
) -> None:
    """Modified multi-stage training: k_φ, l_φ and g_θ, all that a method has trained in stage 1, start stage 2."""
    previous = method_on(spec)
    restore_networks(folder.checkpoints, previous)
    for name, network in method.networks.items():
        copy_weights(previous.networks[name], network)
