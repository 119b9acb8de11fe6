"""What settings may be, each by itself and all together, before any compute is spent."""

import math
import os
from dataclasses import fields
from typing import Any, NoReturn

from bssl_tf.config.training import Config, OptimizerSettings
from bssl_tf.errors import ConfigError
from bssl_tf.methods.registry import method_names, teacher_method_names, unreadable_methods
from bssl_tf.models.choices import TEACHERS


def validate_group(group: Any) -> None:
    """Check every setting of a group: its type, and its value against choices and bounds. No number is nan or infinite.

    Raises:
        ConfigError: names the flag, its value and what to do.
    """
    for field in fields(group):
        value, limits, kind = getattr(group, field.name), field.metadata, type(field.default)
        flag = f"--{field.name}={value}"
        if not _has_type(value, kind):
            raise ConfigError(f"{flag}: give {_TYPES[kind]}, not {value!r}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{flag}: give a finite number.")
        if isinstance(value, str) and "\0" in value:
            raise ConfigError(f"--{field.name}={value!r}: leave out the null character.")
        if limits["choices"] and value not in limits["choices"]:
            raise ConfigError(f"{flag}: choose one of {', '.join(map(str, limits['choices']))}.")
        if limits["low"] is not None and value < limits["low"]:
            raise ConfigError(f"{flag}: give at least {limits['low']}.")
        if limits["high"] is not None and value > limits["high"]:
            raise ConfigError(f"{flag}: give at most {limits['high']}.")


def check_home(flag: str, path: str) -> None:
    """Of a command line ~ is replaced, of a flagfile and in Python it is not, and would be a folder of that name.

    Raises:
        ConfigError: the path begins with ~.
    """
    if path.startswith("~/"):
        raise ConfigError(f"{flag}={path}: ~ is not replaced here. Write the home folder's full path.")


def check_path_of_checkpoints(flag: str, folder: str) -> None:
    """TensorFlow looks for checkpoints by patterns, and takes the folder's own path for a part of them.

    Raises:
        ConfigError: the path would match other folders, or not itself.
    """
    check_home(flag, folder)
    path = os.path.abspath(folder)
    if found := [letter for letter in "*?[\\" if letter in path]:
        raise ConfigError(
            f"{flag}={folder}: {' and '.join(found)} in the path of a checkpoint is a pattern to TensorFlow. Name a "
            rf"folder whose path, here {path}, has none of * ? [ \."
        )


_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _has_type(value: Any, wanted: type) -> bool:
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, int | float if wanted is float else wanted)


def validate(config: Config) -> None:
    """Check every setting, and the settings that hang together.

    Raises:
        ConfigError: names the flag, its value and what to do.
    """
    for group in fields(config):
        validate_group(getattr(config, group.name))
    if not config.run.workdir:
        raise ConfigError("--workdir is not set: name a folder for this run, for instance --workdir=runs/digits.")
    check_path_of_checkpoints("--workdir", config.run.workdir)
    check_home("--teacher", config.teacher.teacher)
    check_home("--feature_cache_dir", config.cache.feature_cache_dir)
    if config.teacher.teacher in TEACHERS and config.teacher.teacher_pixels != "0..255":
        raise ConfigError(
            f"--teacher_pixels={config.teacher.teacher_pixels} is for a saved Keras model; --teacher="
            f"{config.teacher.teacher} is built here and takes pixels as they are: leave --teacher_pixels out."
        )
    if config.run.preview_views and config.distribution.distribution != "one_device":
        raise ConfigError(
            f"--preview_views draws on one machine: leave --distribution={config.distribution.distribution} out."
        )
    if config.cache.feature_cache_dir and not (config.cache.view_cycle and config.cache.feature_cache):
        raise ConfigError(
            f"--feature_cache_dir={config.cache.feature_cache_dir} needs --view_cycle (and not --nofeature_cache): "
            "only views that repeat can be kept."
        )
    _validate_methods(config)
    _validate_optimizers(config)
    _validate_views(config)


def _validate_methods(config: Config) -> None:
    student, teacher = config.student_method, config.teacher_method
    for flag, method, names in (
        ("--method", student, method_names()),
        ("--teacher_method", teacher, teacher_method_names()),
    ):
        if method.name not in (*names, *unreadable_methods()) and "." not in method.name:
            raise ConfigError(f"{flag}={method.name}: choose one of {', '.join(names)}, or a module of your own.")
        try:
            _ = method.description
        except ConfigError as error:
            raise ConfigError(f"{flag}={method.name}: {error}") from None
        method.check()
    if not teacher.description.trains_teachers:
        raise ConfigError(
            f"--teacher_method={teacher.name} needs a teacher itself: choose one of "
            f"{', '.join(teacher_method_names())}."
        )
    for name, group in config.method_groups.items():
        group.check(chosen=name == student.name)
    caches_features = config.uses_teacher and config.cache.view_cycle and config.cache.feature_cache
    if caches_features and not student.description.takes_cached_features:
        raise ConfigError(
            f"--view_cycle={config.cache.view_cycle} keeps the teacher's features, and loss_terms of --method="
            f"{student.name} has no argument cached_features that takes them: add --nofeature_cache, or the argument."
        )
    if config.trains_student and student.compares_images and config.optimizer.micro_batches > 1:
        option = student.comparing_option
        remedy = f"Set {student.flag}={option}=0, or lower --batch_size." if option else "Lower --batch_size instead."
        raise ConfigError(
            f"--micro_batches={config.optimizer.micro_batches}: --method={student.name} compares the images of a "
            f"batch{option and f', by its option {option}'}, which cannot be split. {remedy}"
        )


def _validate_optimizers(config: Config) -> None:
    """Of what is trained in this run: the others' settings do nothing, and may be what they like."""
    if config.trains_student:
        _validate_optimizer(config.optimizer)
        if config.optimizer.batch_size % config.optimizer.micro_batches:
            _refuse_parts(config.optimizer)
    if config.trains_teacher:
        _validate_optimizer(config.pretraining.optimizer_settings(config.optimizer.momentum), "teacher_")


def _validate_optimizer(settings: OptimizerSettings, of: str = "") -> None:
    if settings.weight_decay and settings.optimizer == "adam":
        raise ConfigError(
            f"--{of}weight_decay={settings.weight_decay} does nothing with --{of}optimizer=adam: use "
            f"--{of}optimizer=adamw."
        )
    if 0 < settings.warmup_epochs >= settings.epochs:
        raise ConfigError(
            f"--{of}warmup_epochs={settings.warmup_epochs} leaves nothing of --{of}epochs={settings.epochs}: give 0, "
            "say."
        )


def _refuse_parts(optimizer: OptimizerSettings) -> NoReturn:
    raise ConfigError(
        f"--micro_batches={optimizer.micro_batches} does not divide --batch_size={optimizer.batch_size} evenly: "
        f"give {math.gcd(optimizer.micro_batches, optimizer.batch_size)}, or --batch_size="
        f"{-(-optimizer.batch_size // optimizer.micro_batches) * optimizer.micro_batches}."
    )


def _validate_views(config: Config) -> None:
    views, methods = config.views, (config.student_method, config.teacher_method)
    if views.crop_max < views.crop_min:
        raise ConfigError(f"--crop_max={views.crop_max} is below --crop_min={views.crop_min}: raise it.")
    if not views.local_crops:
        return
    if not any(method.description.multi_crop for method in methods):
        raise ConfigError(
            f"--local_crops={views.local_crops} is for methods with multi-crop, such as swav, not for --method="
            f"{methods[0].name} and --teacher_method={methods[1].name}: leave it out."
        )
    if config.compute.augment_on == "device":
        raise ConfigError("--local_crops needs --augment_on=host: views of two sizes are made in the input pipeline.")
