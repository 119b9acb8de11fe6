"""The one typed configuration: dataclasses ↔ absl flags ↔ the file saved with a run.

Entry points call `define_flags` once, `from_flags` after parsing, and hand the result on; no module
below them reads a flag. A setting is a dataclass field: its name is the flag's name, its type the
flag's type, its help the flag's help, and `settings_that_differ` compares what was saved with what
is asked for now.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from absl import flags

from bssl_tf.errors import ConfigError
from bssl_tf.files import write_json
from bssl_tf.settings import (
    OPTIMIZERS,
    PRECISIONS,
    QUANTIZERS,
    STUDENTS,
    TEACHERS,
    ComputeSettings,
    DataSettings,
    DistributionSettings,
    FeatureCacheSettings,
    MethodSettings,
    OptimizerSettings,
    RunSettings,
    SimclrSettings,
    StudentSettings,
    TeacherSettings,
    ViewSettings,
)

__all__ = [
    "OPTIMIZERS",
    "PRECISIONS",
    "QUANTIZERS",
    "STUDENTS",
    "TEACHERS",
    "Config",
    "ComputeSettings",
    "DataSettings",
    "DistributionSettings",
    "FeatureCacheSettings",
    "MethodSettings",
    "OptimizerSettings",
    "RunSettings",
    "SimclrSettings",
    "StudentSettings",
    "TeacherSettings",
    "ViewSettings",
]


@dataclass(frozen=True)
class Config:
    """All settings of a training run, by group. `save`, `load` and the flags share its field names."""

    data: DataSettings = DataSettings()
    views: ViewSettings = ViewSettings()
    student: StudentSettings = StudentSettings()
    teacher: TeacherSettings = TeacherSettings()
    simclr: SimclrSettings = SimclrSettings()
    method: MethodSettings = MethodSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    cache: FeatureCacheSettings = FeatureCacheSettings()
    compute: ComputeSettings = ComputeSettings()
    run: RunSettings = RunSettings()
    distribution: DistributionSettings = DistributionSettings()


def define_flags(*groups: type, registry: flags.FlagValues | None = None) -> None:
    """Define one absl flag for every setting of the given groups (dataclasses), among the program's unless told."""
    define = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
    for group in groups:
        for field in fields(group):
            choices = field.metadata["choices"]
            allowed = f" ({', '.join(map(str, choices))})" if choices else ""
            help_text = field.metadata["help"] + allowed
            define[field.type](
                field.name, field.default, help_text, flag_values=flags.FLAGS if registry is None else registry
            )


def group_from_flags(group: type, base: Any = None, registry: flags.FlagValues | None = None) -> Any:
    """Build a group from the parsed flags; with `base`, flags left alone keep the values of `base`."""
    parsed = flags.FLAGS if registry is None else registry
    values = {
        field.name: parsed[field.name].value for field in fields(group) if base is None or parsed[field.name].present
    }
    return dataclasses.replace(base, **values) if base is not None else group(**values)


def config_from_flags() -> Config:
    """The configuration that the parsed flags ask for, validated.

    Raises:
        ConfigError: a value is not allowed, or two settings contradict each other.
    """
    config = Config(**{group.name: group_from_flags(group.type) for group in fields(Config)})
    validate(config)
    return config


def config_from_recipe(path: Path) -> Config:
    """The configuration that a recipe (a flagfile such as flags/digits.cfg) asks for, its groups validated.

    Raises:
        ConfigError: the recipe holds a flag or a value that does not exist.
    """
    registry = flags.FlagValues()
    define_flags(*(group.type for group in fields(Config)), registry=registry)
    try:
        registry(["recipe", f"--flagfile={path}"])
    except flags.Error as error:
        raise ConfigError(f"{path} is no recipe for train.py: {error}") from None
    groups = {group.name: group_from_flags(group.type, registry=registry) for group in fields(Config)}
    for group in groups.values():
        validate_group(group)
    return Config(**groups)


def validate_group(group: Any) -> None:
    """Check every setting of a group against its choices and bounds."""
    for field in fields(group):
        value, limits = getattr(group, field.name), field.metadata
        flag = f"--{field.name}={value}"
        if limits["choices"] and value not in limits["choices"]:
            raise ConfigError(f"{flag}: choose one of {', '.join(map(str, limits['choices']))}.")
        if limits["low"] is not None and value < limits["low"]:
            raise ConfigError(f"{flag}: give at least {limits['low']}.")
        if limits["high"] is not None and value > limits["high"]:
            raise ConfigError(f"{flag}: give at most {limits['high']}.")


def validate(config: Config) -> None:
    """Check every setting, and the settings that hang together.

    Raises:
        ConfigError: names the flag, its value and what to do.
    """
    for group in fields(config):
        validate_group(getattr(config, group.name))
    method, optimizer, simclr = config.method, config.optimizer, config.simclr
    if not config.run.workdir:
        raise ConfigError("--workdir is not set: name a folder for this run, for instance --workdir=runs/digits.")
    if config.teacher.teacher in TEACHERS and config.teacher.teacher_pixels != "0..255":
        raise ConfigError(
            f"--teacher_pixels={config.teacher.teacher_pixels} is for a saved Keras model; --teacher="
            f"{config.teacher.teacher} is built here and takes pixels as they are: leave --teacher_pixels out."
        )
    if method.ablation == "joint" and method.balance != "auto":
        raise ConfigError(
            f"--balance={method.balance} contradicts --ablation=joint, which has no similarity loss: drop one of them."
        )
    if method.ablation == "similarity" and method.balance == "cosine":
        raise ConfigError(
            "--balance=cosine contradicts --ablation=similarity, whose λ is constant: use --ablation=balancing."
        )
    for decay, optimizer_name, of in (
        (optimizer.weight_decay, optimizer.optimizer, ""),
        (simclr.teacher_weight_decay, simclr.teacher_optimizer, "teacher_"),
    ):
        if decay and optimizer_name == "adam":
            raise ConfigError(
                f"--{of}weight_decay={decay} does nothing with --{of}optimizer=adam: use --{of}optimizer=adamw."
            )
    if config.cache.feature_cache_dir and not (config.cache.view_cycle and config.cache.feature_cache):
        raise ConfigError(
            f"--feature_cache_dir={config.cache.feature_cache_dir} needs --view_cycle (and not --nofeature_cache): "
            "only views that repeat can be kept."
        )
    if optimizer.batch_size % optimizer.micro_batches:
        raise ConfigError(
            f"--micro_batches={optimizer.micro_batches} does not divide --batch_size={optimizer.batch_size} evenly: "
            f"give {math.gcd(optimizer.micro_batches, optimizer.batch_size)}, or --batch_size="
            f"{-(-optimizer.batch_size // optimizer.micro_batches) * optimizer.micro_batches}."
        )
    if optimizer.warmup_epochs >= optimizer.epochs and optimizer.warmup_epochs > 0:
        raise ConfigError(
            f"--warmup_epochs={optimizer.warmup_epochs} leaves nothing of --epochs={optimizer.epochs}: lower it."
        )
    if config.run.preview_views and config.distribution.distribution != "one_device":
        raise ConfigError(
            f"--preview_views draws on one machine: leave --distribution={config.distribution.distribution} out."
        )
    if simclr.teacher_warmup_epochs >= simclr.teacher_epochs and simclr.teacher_warmup_epochs > 0:
        raise ConfigError(
            f"--teacher_warmup_epochs={simclr.teacher_warmup_epochs} leaves nothing of "
            f"--teacher_epochs={simclr.teacher_epochs}: lower it."
        )


def for_dry_run(config: Config) -> Config:
    """The same run on a handful of images: two steps a phase, small batches, few pseudo-classes."""
    replace, workdir = dataclasses.replace, Path(config.run.workdir) / "dry_run"
    caches = config.cache.view_cycle > 0 and config.cache.feature_cache
    return replace(
        config,
        data=replace(config.data, max_train_images=32, max_test_images=32),
        simclr=replace(config.simclr, teacher_epochs=1, teacher_batch_size=16, teacher_warmup_epochs=0),
        method=replace(config.method, pseudo_classes=min(config.method.pseudo_classes, 64)),
        optimizer=replace(
            config.optimizer,
            epochs=1,
            batch_size=16,
            warmup_epochs=0,
            micro_batches=math.gcd(config.optimizer.micro_batches, 16),
        ),
        cache=replace(config.cache, feature_cache_dir=str(workdir / "features") if caches else ""),
        run=replace(config.run, workdir=str(workdir), log_every=1),
    )


def result_settings(*groups: Any) -> dict[str, Any]:
    """Name → value of those settings that change the result of a run."""
    return {
        field.name: getattr(group, field.name)
        for group in groups
        for field in fields(group)
        if field.metadata["changes_result"]
    }


def settings_that_differ(saved: dict[str, Any], asked: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → (saved value, value asked for) of all settings that are not the same.

    A setting that is younger than what was saved had its default then.
    """
    defaults = result_settings(*(getattr(Config(), group.name) for group in fields(Config)))
    before = {name: saved.get(name, defaults.get(name)) for name in [*saved, *asked]}
    return {name: (value, asked.get(name)) for name, value in before.items() if value != asked.get(name)}


def save(config: Config, path: Path) -> None:
    """Write the configuration as JSON, atomically."""
    write_json(path, dataclasses.asdict(config))


def load(path: Path) -> Config:
    """Read a configuration that `save` wrote; settings younger than the file have their defaults."""
    groups = json.loads(path.read_text())
    return Config(**{group.name: group.type(**groups.get(group.name, {})) for group in fields(Config)})
