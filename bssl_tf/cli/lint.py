"""The deployability linter, ``convert.py --lint=PATH``: exit status 0 if nothing stands in the way, else 1."""

import functools
import sys
from pathlib import Path

from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.training import DataSettings
from bssl_tf.console import console
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

FLAG, TRUST_FLAG = "lint", "lint_trust"


def define_flags() -> None:
    flags.DEFINE_string(
        FLAG,
        "",
        "Examine a network instead of converting it: a run, a folder with backbone.json, a recipe (.cfg), or a "
        "saved Keras or Larq model (.keras, .h5, SavedModel).",
    )
    flags.DEFINE_boolean(
        TRUST_FLAG,
        False,
        "Let the model given as --lint run code of its own, with all rights of the user who runs this command: needed "
        "for a SavedModel, which is a program, and for layers other than Keras's, Larq's and this package's.",
    )
    flags.DEFINE_boolean("lint_strict", False, "Notes fail too, not only problems.")


def main() -> None:
    path = Path(flags.FLAGS[FLAG].value)
    if not path.exists():
        raise ConfigError(f"--lint={path} does not exist.")
    import_tensorflow()
    from bssl_tf.deploy import lint
    from bssl_tf.training.planned_network import planned_network

    overrides = functools.partial(configuration.group_from_flags, DataSettings)
    report = lint(planned_network(path, overrides, trusted=flags.FLAGS[TRUST_FLAG].value))
    console.print(report.render(), markup=False)
    if not report.ok(strict=flags.FLAGS.lint_strict):
        sys.exit(1)
