"""Loads Keras models of unknown origin.

    model = load_keras_model("resnet50.h5", flag="--teacher", trust_flag="--trust_teacher")

An ``.h5`` or ``.keras`` file is read as data: first the configuration, which may name layers of Keras, Larq and this
package only (`allowed_names`), then the arrays. The layers are built from the checked configuration, within the memory
that the file's own arrays justify. A SavedModel is a program, and so is a file with a layer of its own: they are
loaded only if the caller trusts them.
"""

import io
import json
import math
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import larq  # noqa: F401  registers its layers with Keras
import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.files import write_bytes
from bssl_tf.models.hdf5_files import RefusedFile, bytes_of_arrays, memory_for_weights
from bssl_tf.models.keras_import.architecture import RefusedArchitecture, checked

SAVED_MODEL_FILE = "saved_model.pb"
LARGEST_CONFIGURATION = 2**25
LARGEST_WEIGHTS = 2**34
LARGEST_FEATURE_MAP = 2**28
_CONFIGURATION, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_LARGEST_RATIO = 16
_SMALL = 1 << 20
_CALLERS = re.compile(r'^in user code:|^\s+File ".*", line \d+, in .*\n.*$', re.MULTILINE)


def load_keras_model(path: Path, *, flag: str, trust_flag: str, trusted: bool = False) -> tf.keras.Model:
    """Load a saved Keras model without running anything that it holds.

    Args:
        path: an .h5 or .keras file, or the folder of a SavedModel.
        flag: the flag that names the file, for messages.
        trust_flag: the flag by which the user says that the file may run code.
        trusted: whether they did: Keras then loads the file by its own means.

    Raises:
        UserError: no saved Keras model, a damaged one, or one that is not made of layers on the list.
    """
    path = Path(path)
    if trusted:
        return _load_by_keras(path, flag)
    if path.is_dir():
        raise UserError(_refusal(path, flag, trust_flag, "it is a folder, and a SavedModel is a program"))
    try:
        if zipfile.is_zipfile(path):
            return _load_zip(path)
        if h5py.is_hdf5(path):
            return _load_hdf5(path)
    except (RefusedArchitecture, RefusedFile) as reason:
        saved_by = _other_keras(path)
        if saved_by and isinstance(reason, RefusedArchitecture):  # trust would not help
            raise UserError(_of_other_keras(path, flag, saved_by)) from None
        raise UserError(_refusal(path, flag, trust_flag, str(reason))) from None
    except RecursionError:
        raise UserError(f"{flag}={path} is damaged: its configuration is nested without end.") from None
    except Exception as error:  # Keras raises whatever a damaged configuration or array trips over
        raise UserError(_unreadable(path, flag, error)) from error
    raise UserError(f"{flag}={path} is neither an .h5 nor a .keras file.")


def holds_keras_model(path: Path) -> bool:
    """Whether a path looks like a saved Keras model, by its content."""
    if path.is_dir():
        return (path / SAVED_MODEL_FILE).is_file()
    return zipfile.is_zipfile(path) or h5py.is_hdf5(path)


def _refusal(path: Path, flag: str, trust_flag: str, reason: str) -> str:
    return (
        f"{flag}={path} is refused: {reason}. Only .h5 and .keras files are loaded, and of these networks whose layers "
        f"are all Keras's, Larq's or this package's own, because anything else can run code on this machine. If you "
        f"trust whoever made the file, add {trust_flag}: what the file holds then runs with all your rights."
    )


def _unreadable(path: Path, flag: str, error: Exception) -> str:
    if saved_by := _other_keras(path):
        return _of_other_keras(path, flag, saved_by)
    return f"{flag}={path} is no model that Keras 2 (tf-keras) can load: {type(error).__name__}: {_short(error)}"


def _of_other_keras(path: Path, flag: str, version: str) -> str:
    return (
        f"{flag}={path} was saved by Keras {version}; Keras 2 (tf-keras), which Larq needs, cannot load it. Build the "
        "same network in tf_keras, give it the weights (new.set_weights(old.get_weights())), and save it again."
    )


def _other_keras(path: Path) -> str:
    """The version of Keras that a file says it was saved by, if it is not 2; "" if it is, or says nothing."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                version = json.loads(_member(archive, _METADATA, _SMALL))["keras_version"]
        else:
            with h5py.File(path) as file:
                version = file.attrs["keras_version"]
    except Exception:  # damaged, or no model: what is wrong with it is said by the caller
        return ""
    found = re.match(r"\d+(\.\d+)*", str(version)[:20])
    return found[0] if found and not found[0].startswith("2.") else ""


def _load_by_keras(path: Path, flag: str) -> tf.keras.Model:
    try:
        model = tf.keras.models.load_model(path, compile=False, safe_mode=False)
    except Exception as error:  # Keras raises whatever the file's format happens to trip over
        raise UserError(_unreadable(path, flag, error)) from error
    if not isinstance(model, tf.keras.Model):
        raise UserError(f"{flag}={path} was not saved by Keras: it came back as a {type(model).__name__}.")
    return model


def _load_hdf5(path: Path) -> tf.keras.Model:
    size = path.stat().st_size
    with h5py.File(path) as file:
        weight_bytes = bytes_of_arrays(file, size)
        text = file.attrs.get("model_config")
    if text is None:
        raise RefusedFile("it holds weights alone, without the network that they belong to")
    model = _build(_parsed(text), weight_bytes)
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "model.h5"  # Keras goes by the name
        named.symlink_to(path.resolve())
        model.load_weights(named)
    return model


def _load_zip(path: Path) -> tf.keras.Model:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in (_CONFIGURATION, _WEIGHTS):
            if name not in names:
                raise RefusedFile(f"it lacks {name}, which Keras writes into every .keras file")
        configuration = _parsed(_member(archive, _CONFIGURATION, LARGEST_CONFIGURATION))
        content = _member(archive, _WEIGHTS, LARGEST_WEIGHTS)
    with h5py.File(io.BytesIO(content)) as file:
        weight_bytes = bytes_of_arrays(file, len(content))
    model = _build(configuration, weight_bytes)
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / _WEIGHTS
        write_bytes(named, content)
        model.load_weights(named)
    return model


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    entry = archive.getinfo(name)
    if entry.file_size > min(most, _LARGEST_RATIO * entry.compress_size + _SMALL):
        raise RefusedFile(f"its {name} unpacks from {entry.compress_size:,} to {entry.file_size:,} bytes")
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise RefusedFile(f"its {name} has another length than it says")
    return content


def _parsed(text: str | bytes) -> Any:
    if len(text) > LARGEST_CONFIGURATION:
        raise RefusedFile(f"its configuration has {len(text):,} bytes")
    return json.loads(text)


def _build(configuration: Any, weight_bytes: int) -> tf.keras.Model:
    with memory_for_weights(weight_bytes):
        model = tf.keras.layers.deserialize(checked(configuration), use_legacy_format=True)
    if model.inputs is not None:
        check_feature_maps(model, tf.nest.map_structure(lambda tensor: tensor.type_spec, model.input))
    return model


def check_feature_maps(model: tf.keras.Model, inputs: Any) -> None:
    """Look at all that a model computes for one image, models within it included; nothing is computed.

    Args:
        model: of a foreign file.
        inputs: its inputs' specifications, nested as the model takes them; sizes that are open count as 1.

    Raises:
        RefusedArchitecture: a feature map has more than `LARGEST_FEATURE_MAP` numbers.
    """
    graph = tf.function(lambda images: model(images, training=False)).get_concrete_function(inputs).graph
    for operator in graph.get_operations():
        for output in operator.outputs:
            elements = math.prod(size or 1 for size in output.shape) if output.shape.rank is not None else 0
            if elements > LARGEST_FEATURE_MAP:
                raise RefusedArchitecture(f"its {operator.name[:100]!r} gives {elements:,} numbers an image")


def _short(error: Exception) -> str:
    """What an error says, without the places in code that Keras and TensorFlow put before it."""
    text = " ".join(_CALLERS.sub("", str(error)).split())
    return text if len(text) <= 500 else text[:500] + " …"
