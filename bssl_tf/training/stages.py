"""What each phase trains: a method on the teacher, a method on the student in one or two stages."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from bssl_tf.balancing import CosineBalance
from bssl_tf.config.flags import Config
from bssl_tf.config.training import TEACHERS
from bssl_tf.data import steps_per_epoch
from bssl_tf.errors import ConfigError
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.registry import create, description
from bssl_tf.models import BINARY, BINARY_ACTIVATIONS, BackboneSpec, build_backbone, load_head, load_teacher
from bssl_tf.runs import Phase, needs, teacher_path
from bssl_tf.training import teacher_features
from bssl_tf.training.checkpoints import copy_weights, restore_networks
from bssl_tf.training.loop import finish_phase, train_phase
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, Distribution
from bssl_tf.training.optimizers import build_optimizer, warmup_cosine
from bssl_tf.training.run_data import Inputs, student_spec, teacher_spec
from bssl_tf.training.training_data import label_lookup, make_views, training_data

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
    teacher = None
    if any(phase.name == "teacher" and not phase.done for phase in wanted):
        pretraining = config.pretraining
        steps_per_epoch(inputs.train, pretraining.teacher_batch_size, "--teacher_batch_size")
        distribution.check_batch(pretraining.teacher_batch_size, "--teacher_batch_size")
        _check_labels(pretraining.teacher_method, "--teacher_method", inputs)
        teacher_spec(config, inputs)
    elif needs(config, "teacher"):
        teacher, _ = _load_teacher(config, inputs)
        if needs(config, "teacher_head"):
            _teacher_head(config)
    if teacher_features.is_wanted(config):
        fingerprint = next((phase.settings.get("teacher_fingerprint") for phase in wanted[::-1]), None)
        teacher_features.check_before_training(config, inputs, teacher, fingerprint)
    for number in (int(phase.name[-1]) for phase in wanted if phase.name != "teacher"):
        steps_per_epoch(inputs.train, config.optimizer.batch_size)
        distribution.check_batch(config.optimizer.batch_size, "--batch_size", config.optimizer.micro_batches)
        _check_labels(config.method.method, "--method", inputs)
        student_spec(config, inputs, STAGE_MODES[number])


def train_teacher(
    config: Config, phase: Phase, inputs: Inputs, console: Console, distribution: Distribution = ONE_DEVICE
) -> None:
    """Pretrain the float teacher; within the scope of `distribution`."""
    pretraining = config.pretraining
    tf.keras.utils.set_random_seed(config.run.seed)
    spec, described = teacher_spec(config, inputs), description(pretraining.teacher_method)
    data = training_data(
        config,
        inputs,
        pretraining.teacher_batch_size,
        pretraining.teacher_epochs,
        stream=0,
        multi_crop=described.multi_crop,
        targets=label_lookup(inputs) if "num_classes" in described.needs else None,
    )
    steps = data.steps_per_epoch
    method = create(
        described.name,
        described.parsed(pretraining.teacher_method_options),
        backbone=build_backbone(spec),
        total_steps=pretraining.teacher_epochs * steps,
        num_classes=_num_classes(inputs),
    )
    rate = warmup_cosine(
        pretraining.teacher_learning_rate,
        pretraining.teacher_epochs * steps,
        pretraining.teacher_warmup_epochs * steps,
    )
    method.compile(
        build_optimizer(
            pretraining.teacher_optimizer,
            rate,
            weight_decay=pretraining.teacher_weight_decay,
            momentum=config.optimizer.momentum,
        ),
        make_views=make_views(config),
    )
    summary = train_phase(
        phase,
        method,
        data,
        epochs=pretraining.teacher_epochs,
        run=config.run,
        console=console,
        distribution=distribution,
    )
    finish_phase(phase, method, spec, summary, distribution)


def train_stage(
    config: Config, phase: Phase, number: int, inputs: Inputs, console: Console, distribution: Distribution = ONE_DEVICE
) -> None:
    """Train the student: stage 1 with float weights, stage 2 fully binary, from stage 1 where there is one.

    Within the scope of `distribution`.
    """
    optimizer, run = config.optimizer, config.run
    tf.keras.utils.set_random_seed(run.seed + number)
    given, targets = {"num_classes": _num_classes(inputs)}, None
    if needs(config, "teacher"):
        given["teacher"], told = _load_teacher(config, inputs)
        if config.teacher.teacher not in TEACHERS:
            console.print(f"teacher: {told}", markup=False)
    if needs(config, "teacher_head"):
        given["teacher_head"] = _teacher_head(config)
    if teacher_features.is_wanted(config):
        targets = teacher_features.feature_lookup(config, phase, inputs, given["teacher"], console, distribution)
    elif needs(config, "num_classes"):
        targets = label_lookup(inputs)
    multi_crop = description(config.method.method).multi_crop
    data = training_data(
        config, inputs, optimizer.batch_size, optimizer.epochs, stream=number, multi_crop=multi_crop, targets=targets
    )
    given["total_steps"] = optimizer.epochs * data.steps_per_epoch
    spec = student_spec(config, inputs, STAGE_MODES[number])

    def method_on(spec: BackboneSpec) -> Method:
        return create(config.method.method, _options(config, given), backbone=build_backbone(spec), **given)

    method = method_on(spec)
    if phase.settings["starts_from"] == "stage1":
        _carry_over(method_on, dataclasses.replace(spec, mode=STAGE_MODES[1]), phase.workdir / "stage1", method)
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
    finish_phase(phase, method, spec, summary, distribution)


def _options(config: Config, given: dict[str, Any]) -> dict[str, Any]:
    if config.method.method != "bssl":
        return description(config.method.method).parsed(config.method.method_options)
    bssl = config.bssl
    return dict(
        pseudo_classes=bssl.pseudo_classes,
        temperature=bssl.temperature,
        similarity=bssl.similarity,
        views=bssl.views,
        train_target=bssl.train_target,
        balance=CosineBalance(given["total_steps"], *bssl.balance_ends),
    )


def _compile(config: Config, method: Method, steps_per_epoch: int) -> None:
    optimizer, multiplier = config.optimizer, config.bssl.target_learning_rate_multiplier

    def optimizer_at(peak: float) -> tf.keras.optimizers.Optimizer:
        rate = warmup_cosine(peak, optimizer.epochs * steps_per_epoch, optimizer.warmup_epochs * steps_per_epoch)
        return build_optimizer(
            optimizer.optimizer, rate, weight_decay=optimizer.weight_decay, momentum=optimizer.momentum
        )

    of_target = {}
    if config.method.method == "bssl" and config.bssl.train_target and multiplier != 1.0:
        of_target["target_optimizer"] = optimizer_at(optimizer.learning_rate * multiplier)
    method.compile(
        optimizer_at(optimizer.learning_rate),
        micro_batches=optimizer.micro_batches,
        make_views=make_views(config),
        **of_target,
    )


def _load_teacher(config: Config, inputs: Inputs) -> tuple[tf.keras.Model, str]:
    return load_teacher(
        teacher_path(config),
        image_size=inputs.image_size,
        channels=inputs.channels,
        pixels=config.teacher.teacher_pixels,
        trusted=config.teacher.trust_teacher,
    )


def _teacher_head(config: Config) -> tf.keras.Model:
    path = teacher_path(config)
    try:
        return load_head(path)
    except FileNotFoundError:
        raise ConfigError(
            f"--method={config.method.method} distills the teacher's pretrained head, and {path} holds none: pretrain "
            "a teacher here (--teacher=resnet_small, for instance), name such a run, import one with --keep_head, or "
            "use --method=bssl, which needs none."
        ) from None


def _num_classes(inputs: Inputs) -> int | None:
    return inputs.train.class_names and len(inputs.train.class_names)


def _check_labels(method: str, flag: str, inputs: Inputs) -> None:
    if "num_classes" in description(method).needs and inputs.train.labels is None:
        raise ConfigError(
            f"{flag}={method} learns from labels, and {inputs.train.name} has none: sort the images into one folder "
            "per class, or choose a method without labels."
        )


def _carry_over(method_on: Callable[[BackboneSpec], Method], spec: BackboneSpec, folder: Path, method: Method) -> None:
    """Modified multi-stage training: k_φ, l_φ and g_θ, all that a method has trained in stage 1, start stage 2."""
    previous = method_on(spec)
    restore_networks(folder, previous)
    for name, network in method.networks.items():
        copy_weights(previous.networks[name], network)
