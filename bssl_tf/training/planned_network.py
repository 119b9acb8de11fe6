"""The network that a run, a recipe or a saved model will deploy, for the linter."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from bssl_tf.config import saved
from bssl_tf.config.flags import config_from_recipe
from bssl_tf.config.training import Config, DataSettings
from bssl_tf.data import load_source, resolve_image
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.models import BINARY, build_backbone
from bssl_tf.models.keras_import.loading import holds_keras_model, load_keras_model
from bssl_tf.models.spec import read_spec
from bssl_tf.runs import BACKBONE_FILES, Workdir
from bssl_tf.training.run_data import ImageForm, student_spec


def planned_network(
    path: Path, overrides: Callable[[DataSettings], DataSettings] = lambda data: data, *, trusted: bool = False
) -> tf.keras.Model:
    """The network that is to be deployed, trained or not; its weights may be random.

    Args:
        path: a run, a folder with backbone.json, a recipe (.cfg), or a saved Keras or Larq model.
        overrides: data settings of a run or recipe → those to use.
        trusted: let a saved model run code of its own.

    Raises:
        UserError: none of these, or a network whose image size cannot be determined.
    """
    workdir = Workdir(path)
    for folder in (path, *(workdir.stage(number).path for number in (2, 1))):
        if (folder / BACKBONE_FILES[0]).is_file():
            return build_backbone(read_spec(folder, with_weights=False))
    if path.suffix == ".cfg":
        return _student(config_from_recipe(path), path, overrides)
    if workdir.config_file.is_file():
        return _student(saved.load(workdir.config_file), path, overrides)
    return _saved_model(path, trusted)


def _student(config: Config, path: Path, overrides: Callable[[DataSettings], DataSettings]) -> tf.keras.Model:
    """The student that training by these settings would give; its images are loaded only if their size is needed."""
    data = overrides(config.data)
    size, channels = data.image_size, data.channels
    if not (size and channels):
        try:
            size, channels = resolve_image(data, load_source(data, "train"))
        except UserError as error:
            raise ConfigError(
                f"--lint={path} leaves the size of the images to the data set, and that cannot be read: {error} Or "
                "give --image_size and --channels."
            ) from error
    images = ImageForm(size, channels, mean=(127.5,) * channels, std=(64.0,) * channels)
    return build_backbone(student_spec(images, config.student, BINARY))


def _saved_model(path: Path, trusted: bool) -> tf.keras.Model:
    if not holds_keras_model(path):
        raise UserError(
            f"--lint={path} is no run, no folder with {BACKBONE_FILES[0]}, no recipe (.cfg), and no "
            "model that Keras 2 (tf-keras) has saved."
        )
    model = load_keras_model(path, flag="--lint", trust_flag="--lint_trust", trusted=trusted)
    if model.inputs is None:
        raise UserError(
            f"--lint={path} holds no layers that can be followed from input to output: save it as a functional or "
            "sequential Keras model."
        )
    return model
