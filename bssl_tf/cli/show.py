"""Inputs, outputs, labels and provenance of a .tflite file: ``convert.py --show=model.tflite``."""

from pathlib import Path

from absl import flags

from bssl_tf.console import console
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

FLAG = "show"
FLAGS, USED = (FLAG,), ()
"""Its own flags, and those of other jobs that it uses."""


def define_flags() -> None:
    """Define the flag of this job."""
    flags.DEFINE_string(FLAG, "", "Show inputs, outputs, labels and provenance of a .tflite file, read from it.")


def main() -> None:
    """Print the description of the file."""
    path = Path(flags.FLAGS[FLAG].value)
    if not path.is_file():
        raise ConfigError(f"--show={path} is no file.")
    import_tensorflow()
    from bssl_tf.deploy.description import describe
    from bssl_tf.deploy.flatbuffer.inspect import read_file

    console.print(f"{path.name}: {describe(read_file(path))}", markup=False)
