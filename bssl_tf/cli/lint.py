"""The deployability linter, ``convert.py --lint=PATH``: exit status 0 if nothing stands in the way, else 1."""

import sys
from pathlib import Path

from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config import saved
from bssl_tf.config.training import Config, DataSettings
from bssl_tf.console import console
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.native_logs import import_tensorflow
from bssl_tf.runs import BACKBONE_FILES, Workdir

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

    report = lint(_network(path))
    console.print(report.render(), markup=False)
    if not report.ok(strict=flags.FLAGS.lint_strict):
        sys.exit(1)


def _network(path: Path) -> "tf.keras.Model":  # noqa: F821
    workdir = Workdir(path)
    for folder in (path, *(workdir.stage(number).path for number in (2, 1))):
        if (folder / BACKBONE_FILES[0]).is_file():
            from bssl_tf.models import BackboneSpec, build_backbone

            return build_backbone(BackboneSpec.from_json((folder / BACKBONE_FILES[0]).read_text()))
    if path.suffix == ".cfg":
        return _student(configuration.config_from_recipe(path), path)
    if workdir.config_file.is_file():
        return _student(saved.load(workdir.config_file), path)
    return _saved_model(path)


def _student(config: Config, path: Path) -> "tf.keras.Model":  # noqa: F821
    """The student that training by these settings would give; its images are loaded only if their size is needed."""
    from bssl_tf.data import load_source, resolve_image
    from bssl_tf.models import BINARY, build_backbone
    from bssl_tf.training.run_data import RunData, student_spec

    data = configuration.group_from_flags(DataSettings, base=config.data)
    size, channels = data.image_size, data.channels
    if not (size and channels):
        try:
            size, channels = resolve_image(data, load_source(data, "train"))
        except UserError as error:
            raise ConfigError(
                f"--lint={path} leaves the size of the images to the data set, and that cannot be read: {error} Or "
                "give --image_size and --channels."
            ) from error
    images = RunData(None, None, size, channels, mean=(127.5,) * channels, std=(64.0,) * channels)
    return build_backbone(student_spec(images, config.student, BINARY))


def _saved_model(path: Path) -> "tf.keras.Model":  # noqa: F821
    from bssl_tf.models.keras_import.loading import holds_keras_model, load_keras_model

    if not holds_keras_model(path):
        raise UserError(
            f"--lint={path} is no run, no folder with {BACKBONE_FILES[0]}, no recipe (.cfg), and no "
            "model that Keras 2 (tf-keras) has saved."
        )
    trusted = flags.FLAGS[TRUST_FLAG].value
    model = load_keras_model(path, flag=f"--{FLAG}", trust_flag=f"--{TRUST_FLAG}", trusted=trusted)
    if model.inputs is None:
        raise UserError(
            f"--lint={path} holds no layers that can be followed from input to output: save it as a functional or "
            "sequential Keras model."
        )
    return model
