"""What each phase trains: SimCLR on the teacher, BSSL on the student in one or two stages."""

import dataclasses
from pathlib import Path

import tensorflow as tf
from rich.console import Console

from bssl_tf.balancing import CosineBalance
from bssl_tf.config import TEACHERS, Config
from bssl_tf.data import steps_per_epoch
from bssl_tf.methods.bssl import Bssl
from bssl_tf.methods.simclr import SimClr
from bssl_tf.models import BINARY, BINARY_ACTIVATIONS, BackboneSpec, build_backbone, load_teacher
from bssl_tf.training import known_features
from bssl_tf.training.checkpoints import restore_networks
from bssl_tf.training.distribution import ONE_DEVICE, Distribution
from bssl_tf.training.inputs import Inputs, student_spec, teacher_spec
from bssl_tf.training.loop import finish_phase, train_phase
from bssl_tf.training.optimizers import build_optimizer, warmup_cosine
from bssl_tf.training.phases import Phase, teacher_path
from bssl_tf.training.training_data import make_views, training_data

STAGE_MODES = {1: BINARY_ACTIVATIONS, 2: BINARY}


def check_all(config: Config, wanted: list[Phase], inputs: Inputs, distribution: Distribution) -> None:
    """Find out now, not after hours, that a later phase cannot work with these images and settings.

    Raises:
        UserError: names the flag and the remedy.
    """
    distribution.check_same(
        (inputs.train.num_examples, inputs.image_size, inputs.channels, inputs.mean),
        lambda who: (
            f"--dataset={config.data.dataset} has other images on {who} than on worker 0: copy one to the other."
        ),
    )
    if any(phase.name == "teacher" and not phase.done for phase in wanted):
        steps_per_epoch(inputs.train, config.simclr.teacher_batch_size, "--teacher_batch_size")
        distribution.check_batch(config.simclr.teacher_batch_size, "--teacher_batch_size")
        teacher_spec(config, inputs)
        teacher = None
    else:
        teacher, _ = _load_teacher(config, inputs)
    if known_features.is_wanted(config):
        fingerprint = next((phase.settings.get("teacher_fingerprint") for phase in wanted[::-1]), None)
        known_features.check_before_training(config, inputs, teacher, fingerprint)
    for number in (int(phase.name[-1]) for phase in wanted if phase.name != "teacher"):
        steps_per_epoch(inputs.train, config.optimizer.batch_size)
        distribution.check_batch(config.optimizer.batch_size, "--batch_size", config.optimizer.micro_batches)
        student_spec(config, inputs, STAGE_MODES[number])


def train_teacher(
    config: Config, phase: Phase, inputs: Inputs, console: Console, distribution: Distribution = ONE_DEVICE
) -> None:
    """Pretrain the float teacher by SimCLR; within the scope of `distribution`."""
    simclr = config.simclr
    tf.keras.utils.set_random_seed(config.run.seed)
    spec = teacher_spec(config, inputs)
    data = training_data(config, inputs, simclr.teacher_batch_size, simclr.teacher_epochs, stream=0)
    method = SimClr(
        build_backbone(spec), projection_size=simclr.projection_size, temperature=simclr.contrastive_temperature
    )
    steps = data.steps_per_epoch
    rate = warmup_cosine(
        simclr.teacher_learning_rate, simclr.teacher_epochs * steps, simclr.teacher_warmup_epochs * steps
    )
    method.compile(
        build_optimizer(
            simclr.teacher_optimizer,
            rate,
            weight_decay=simclr.teacher_weight_decay,
            momentum=config.optimizer.momentum,
        ),
        make_views=make_views(config),
    )
    summary = train_phase(
        phase, method, data, epochs=simclr.teacher_epochs, run=config.run, console=console, distribution=distribution
    )
    finish_phase(phase, method.backbone, spec, summary, distribution)


def train_stage(
    config: Config, phase: Phase, number: int, inputs: Inputs, console: Console, distribution: Distribution = ONE_DEVICE
) -> None:
    """Train the student: stage 1 with float weights, stage 2 fully binary, from stage 1 where there is one.

    Within the scope of `distribution`.
    """
    optimizer, run = config.optimizer, config.run
    tf.keras.utils.set_random_seed(run.seed + number)
    (teacher, description), known = _load_teacher(config, inputs), None
    if config.teacher.teacher not in TEACHERS:
        console.print(f"teacher: {description}")
    if known_features.is_wanted(config):
        known = known_features.known_features(config, phase, inputs, teacher, console, distribution)
    data = training_data(config, inputs, optimizer.batch_size, optimizer.epochs, stream=number, known=known)
    spec = student_spec(config, inputs, STAGE_MODES[number])
    balance = CosineBalance(optimizer.epochs * data.steps_per_epoch, *config.method.balance_ends)
    method = _bssl(config, teacher, spec, balance)
    if phase.settings["starts_from"] == "stage1":
        _carry_over(config, teacher, dataclasses.replace(spec, mode=STAGE_MODES[1]), phase.workdir / "stage1", method)
    _compile(config, method, data.steps_per_epoch)
    summary = train_phase(
        phase,
        method,
        data,
        epochs=optimizer.epochs,
        run=run,
        console=console,
        distribution=distribution,
    )
    finish_phase(phase, method.backbone, spec, summary, distribution)


def _compile(config: Config, method: Bssl, steps_per_epoch: int) -> None:
    optimizer, multiplier = config.optimizer, config.method.target_learning_rate_multiplier

    def optimizer_at(peak: float) -> tf.keras.optimizers.Optimizer:
        rate = warmup_cosine(peak, optimizer.epochs * steps_per_epoch, optimizer.warmup_epochs * steps_per_epoch)
        return build_optimizer(
            optimizer.optimizer, rate, weight_decay=optimizer.weight_decay, momentum=optimizer.momentum
        )

    separate = config.method.train_target and multiplier != 1.0
    method.compile(
        optimizer_at(optimizer.learning_rate),
        target_optimizer=optimizer_at(optimizer.learning_rate * multiplier) if separate else None,
        micro_batches=optimizer.micro_batches,
        make_views=make_views(config),
    )


def _load_teacher(config: Config, inputs: Inputs) -> tuple[tf.keras.Model, str]:
    return load_teacher(
        teacher_path(config),
        image_size=inputs.image_size,
        channels=inputs.channels,
        pixels=config.teacher.teacher_pixels,
    )


def _bssl(config: Config, teacher: tf.keras.Model, spec: BackboneSpec, balance=0.0) -> Bssl:
    method = config.method
    return Bssl(
        teacher,
        build_backbone(spec),
        pseudo_classes=method.pseudo_classes,
        temperature=method.temperature,
        similarity=method.similarity,
        views=method.views,
        train_target=method.train_target,
        balance=balance,
    )


def _carry_over(config: Config, teacher: tf.keras.Model, spec: BackboneSpec, folder: Path, method: Bssl) -> None:
    """Modified multi-stage training: k_φ, l_φ and g_θ (and the feature map) of stage 1 start stage 2."""
    previous = _bssl(config, teacher, spec)
    restore_networks(folder, previous)
    for name, network in method.networks.items():
        network.set_weights(previous.networks[name].get_weights())
