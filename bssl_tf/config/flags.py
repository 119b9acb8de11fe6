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

from bssl_tf.config import renamed
from bssl_tf.config.renamed import old_name, with_new_names
from bssl_tf.config.training import (
    BsslSettings,
    ComputeSettings,
    DataSettings,
    DistributionSettings,
    FeatureCacheSettings,
    MethodSettings,
    OptimizerSettings,
    PretrainingSettings,
    RunSettings,
    StudentSettings,
    TeacherSettings,
    ViewSettings,
)
from bssl_tf.config.validation import validate, validate_group
from bssl_tf.console import print_warning
from bssl_tf.errors import ConfigError
from bssl_tf.files import write_json


@dataclass(frozen=True)
class Config:
    """All settings of a training run, by group. `save`, `load` and the flags share its field names."""

    data: DataSettings = DataSettings()
    views: ViewSettings = ViewSettings()
    student: StudentSettings = StudentSettings()
    teacher: TeacherSettings = TeacherSettings()
    pretraining: PretrainingSettings = PretrainingSettings()
    method: MethodSettings = MethodSettings()
    bssl: BsslSettings = BsslSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    cache: FeatureCacheSettings = FeatureCacheSettings()
    compute: ComputeSettings = ComputeSettings()
    run: RunSettings = RunSettings()
    distribution: DistributionSettings = DistributionSettings()

    @property
    def stage_numbers(self) -> tuple[int, ...]:
        """The student's stages to run, in order."""
        stages = self.method.stages
        if stages == "auto":
            stages = "1,2" if self.bssl.ablation == "full" else "2"
        return tuple(int(stage) for stage in stages.split(","))


def define_flags(*groups: type, registry: flags.FlagValues | None = None) -> None:
    """Define one absl flag for every setting of the given groups (dataclasses), among the program's unless told."""
    define = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
    registry = flags.FLAGS if registry is None else registry
    for group in groups:
        for field in fields(group):
            choices = field.metadata["choices"]
            allowed = f" ({', '.join(map(str, choices))})" if choices else ""
            define[field.type](field.name, field.default, field.metadata["help"] + allowed, flag_values=registry)
            if old := old_name(field.name):
                flags.DEFINE_alias(old, field.name, flag_values=registry)


def group_from_flags(group: type, base: Any = None, registry: flags.FlagValues | None = None) -> Any:
    """Build a group from the parsed flags; with `base`, flags left alone keep the values of `base`."""
    parsed = flags.FLAGS if registry is None else registry
    for field in fields(group):
        old = old_name(field.name)
        if old and parsed[old].present:
            print_warning(f"--{old} is called --{field.name} now; the old name works until the next release.")
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


def for_dry_run(config: Config) -> Config:
    """The same run on a handful of images: two steps a phase, small batches, few pseudo-classes."""
    replace, workdir = dataclasses.replace, Path(config.run.workdir) / "dry_run"
    caches = config.cache.view_cycle > 0 and config.cache.feature_cache
    return replace(
        config,
        data=replace(config.data, max_train_images=32, max_test_images=32),
        pretraining=replace(config.pretraining, teacher_epochs=1, teacher_batch_size=16, teacher_warmup_epochs=0),
        bssl=replace(config.bssl, pseudo_classes=min(config.bssl.pseudo_classes, 64)),
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
    saved = with_new_names(saved, renamed.SETTINGS)
    before = {name: saved.get(name, defaults.get(name)) for name in [*saved, *asked]}
    return {name: (value, asked.get(name)) for name, value in before.items() if value != asked.get(name)}


def save(config: Config, path: Path) -> None:
    """Write the configuration as JSON, atomically."""
    write_json(path, dataclasses.asdict(config))


def load(path: Path) -> Config:
    """Read a configuration that `save` wrote.

    Settings younger than the file have their defaults, settings that are no more are passed over.
    """
    saved = {name: value for group in json.loads(path.read_text()).values() for name, value in group.items()}
    saved = with_new_names(saved, renamed.SETTINGS)
    groups = {}
    for group in fields(Config):
        names = [field.name for field in fields(group.type) if field.name in saved]
        groups[group.name] = group.type(**{name: saved[name] for name in names})
    return Config(**groups)
