"""The deployability linter, ``convert.py --lint=PATH``: exit status 0 if nothing stands in the way, else 1."""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.training import DataSettings
from bssl_tf.console import console
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

FLAG, TRUST_FLAG, STRICT_FLAG = "lint", "lint_trust", "lint_strict"
FLAGS = (FLAG, TRUST_FLAG, STRICT_FLAG)
USED = tuple(field.name for field in dataclasses.fields(DataSettings))
"""Flags of other jobs that this one uses."""


def define_flags() -> None:
    flags.DEFINE_string(
        FLAG,
        "",
        "Examine a network instead of converting it: a run, a folder with backbone.json, a detector's folder, a recipe "
        "(.cfg), or a saved Keras or Larq model (.keras, .h5, SavedModel).",
    )
    flags.DEFINE_boolean(
        TRUST_FLAG,
        False,
        "Let the model given as --lint run code of its own, with all rights of the user who runs this command: needed "
        "for a SavedModel, which is a program, and for layers other than Keras's, Larq's and this package's.",
    )
    flags.DEFINE_boolean(STRICT_FLAG, False, "Notes fail too, not only problems.")


def main() -> None:
    path = Path(flags.FLAGS[FLAG].value)
    if not path.exists():
        raise ConfigError(f"--lint={path} does not exist.")
    import_tensorflow()
    from bssl_tf.deploy import lint

    report = lint(_network(path))
    console.print(report.render(), markup=False)
    if not report.ok(strict=flags.FLAGS[STRICT_FLAG].value):
        sys.exit(1)


def _network(path: Path) -> "tf.keras.Model":
    from bssl_tf.detection.model import DETECTOR_FILE, build_detector, read_detector_spec
    from bssl_tf.training.planned_network import planned_network

    if (path / DETECTOR_FILE).is_file():
        return build_detector(read_detector_spec(path)[0]).model
    overrides = functools.partial(configuration.group_from_flags, DataSettings)
    return planned_network(path, overrides, trusted=flags.FLAGS[TRUST_FLAG].value)
