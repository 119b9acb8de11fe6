"""Settings ↔ absl flags: every field of a group of settings is a flag of the same name, type, default and help.

Entry points call `define_flags` once and `config_from_flags` after parsing, and hand the result on; no module below
them reads a flag.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from absl import flags

from bssl_tf.config.renamed import old_name
from bssl_tf.config.training import Config, DataSettings, config_groups
from bssl_tf.config.validation import validate, validate_group
from bssl_tf.config.without_effect import data_without_effect
from bssl_tf.console import print_warning
from bssl_tf.errors import ConfigError
from bssl_tf.methods.registry import unreadable_methods


def define_flags(*groups: type, registry: flags.FlagValues | None = None, left_alone: str = "") -> None:
    """Define one absl flag for every setting of the given groups (dataclasses).

    Args:
        *groups: the groups.
        registry: where to define them; None: as the program's.
        left_alone: what a flag stands for that is not given, for ``--help``, where that is not the setting's default;
            such flags are read by `group_from_flags` with a base.
    """
    define: dict[Any, Callable[..., Any]] = {
        str: flags.DEFINE_string,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        bool: flags.DEFINE_bool,
    }
    registry = flags.FLAGS if registry is None else registry
    for group in groups:
        for field in fields(group):
            choices = field.metadata["choices"]
            allowed = f" ({', '.join(map(str, choices))})" if choices else ""
            text = field.metadata["help"] + allowed + (f" Default: {left_alone}." if left_alone else "")
            define[field.type](field.name, None if left_alone else field.default, text, flag_values=registry)
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


def data_from_flags(base: DataSettings, idle: Mapping[str, str], used: Collection[str] = ()) -> DataSettings:
    """The images that the parsed flags ask for, of a program that works on networks that are trained already.

    Args:
        base: what flags left alone stand for.
        idle: name → why, of data settings that do nothing in this program.
        used: names of those that do something whatever the data set.

    Raises:
        ConfigError: a value is not allowed, or a flag is given that does nothing.
    """
    data = group_from_flags(DataSettings, base=base)
    validate_group(data)
    found = {**data_without_effect(data), **idle}
    refuse_without_effect({name: why for name, why in found.items() if name not in used})
    return data


def refuse_without_effect(idle: Mapping[str, str]) -> None:
    """Refuse flags that were given and do nothing.

    Args:
        idle: name → why, of flags that do nothing, given or not.

    Raises:
        ConfigError: names the flag, its value and why.
    """
    for name, why in idle.items():
        old = old_name(name)
        if flags.FLAGS[name].present or (old and flags.FLAGS[old].present):
            raise ConfigError(f"--{name}={flags.FLAGS[name].value} does nothing here: it {why}. Leave it out.")


def warn_of_unreadable_methods() -> None:
    """Say which methods of this package cannot be used, and why. Commands that know methods do so once."""
    for name, problem in unreadable_methods().items():
        print_warning(f"the method {name} is left out: {problem}")


def config_from_flags() -> Config:
    """The configuration of the parsed flags, validated.

    Raises:
        ConfigError: a value is not allowed, or two settings contradict each other.
    """
    config = Config(**{name: group_from_flags(group) for name, group in config_groups().items()})
    validate(config)
    return config


def config_from_recipe(path: Path) -> Config:
    """The configuration of a recipe (a flagfile such as flags/digits.cfg), its groups validated.

    Raises:
        ConfigError: the recipe holds a flag or a value that does not exist.
    """
    registry = flags.FlagValues()
    define_flags(*config_groups().values(), registry=registry)
    try:
        registry(["recipe", f"--flagfile={path}"])
    except flags.Error as error:
        raise ConfigError(f"{path} is no recipe for train.py: {error}") from None
    groups = {name: group_from_flags(group, registry=registry) for name, group in config_groups().items()}
    for group in groups.values():
        validate_group(group)
    return Config(**groups)
