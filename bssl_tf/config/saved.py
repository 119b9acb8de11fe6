"""Settings ↔ the files saved with a run: config.json has all of them, settings.json those that shaped a phase."""

import dataclasses
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bssl_tf.config import renamed
from bssl_tf.config.renamed import with_new_names, with_target
from bssl_tf.config.training import Config, config_groups
from bssl_tf.config.validation import validate_group
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import read_json, write_json

REMEDY = "restore it, or give the command that trained the run again, which writes it anew"


def result_settings(*groups: Any) -> dict[str, Any]:
    """Name → value of those settings that change the result of a run."""
    return {
        field.name: getattr(group, field.name)
        for group in groups
        for field in fields(group)
        if field.metadata["changes_result"]
    }


def settings_that_differ(saved: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → (saved value, current value) of all settings that are not the same.

    A setting that is younger than what was saved had its default then.
    """
    defaults = result_settings(*(getattr(Config(), group.name) for group in fields(Config)))
    saved = with_target(with_new_names(saved, renamed.SETTINGS))
    before = {name: saved.get(name, defaults.get(name)) for name in [*saved, *current]}
    return {name: (value, current.get(name)) for name, value in before.items() if value != current.get(name)}


def save(config: Config, path: Path) -> None:
    """Write the configuration as JSON, atomically."""
    write_json(path, dataclasses.asdict(config))


def load(path: Path) -> Config:
    """Read a configuration that `save` wrote.

    Settings younger than the file have their defaults, settings that no longer exist are skipped.

    Raises:
        UserError: it is missing or damaged, or a value is not allowed (it may have been edited by hand); names file and
            key.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: {REMEDY}.")
    content = read_json(path, dict, REMEDY)
    for name, group in content.items():
        if not isinstance(group, dict):
            raise UserError(f"{path}: {name} must hold names and values, but is {group!r}: {REMEDY}.")
    saved = {name: value for group in content.values() for name, value in group.items()}
    saved = with_target(with_new_names(saved, renamed.SETTINGS))
    groups = {}
    for group, settings in config_groups().items():
        names = [field.name for field in fields(settings) if field.name in saved]
        groups[group] = settings(**{name: saved[name] for name in names})
        try:
            validate_group(groups[group])
        except ConfigError as error:
            raise UserError(f"{path}: {error} Or {REMEDY}.") from None
    return Config(**groups)
