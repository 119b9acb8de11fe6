"""Keras models that would write a marker file if anything in them were run. Made here, so that none lies about."""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

L = tf.keras.layers


def honest(path: Path) -> Path:
    images = tf.keras.Input((8, 8, 3))
    x = L.GlobalAveragePooling2D(name="pool")(L.Conv2D(4, 3, name="conv")(images))
    tf.keras.Model(images, x, name="honest").save(path)
    return path


def lambda_h5(folder: Path, marker: Path) -> Path:
    """Python byte code in a Lambda layer, as Keras itself saves it."""
    images = tf.keras.Input((8, 8, 3))
    call = eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]")
    x = L.GlobalAveragePooling2D()(L.Lambda(call)(images))
    marker.unlink()  # building it ran it
    tf.keras.Model(images, x).save(folder / "lambda.h5")
    return folder / "lambda.h5"


def lambda_keras(folder: Path, marker: Path) -> Path:
    images = tf.keras.Input((8, 8, 3))
    call = eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]")
    x = L.GlobalAveragePooling2D()(L.Lambda(call)(images))
    marker.unlink()
    tf.keras.Model(images, x).save(folder / "lambda.keras")
    return folder / "lambda.keras"


def saved_model(folder: Path, marker: Path) -> Path:
    """An operator of TensorFlow that writes a file whenever the network is run."""
    images = tf.keras.Input((8, 8, 3))

    class Writer(L.Layer):
        def call(self, inputs):
            with tf.control_dependencies([tf.io.write_file(str(marker), "")]):
                return tf.identity(inputs)

    x = L.GlobalAveragePooling2D()(Writer()(images))
    tf.keras.Model(images, x).save(folder / "program")
    marker.unlink(missing_ok=True)
    return folder / "program"


def function_by_module(folder: Path, marker: Path) -> Path:
    """A layer whose activation is os.system, found by the name of its module."""
    system = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    return _rewritten(folder / "function.keras", _conv, activation=system)


def class_by_module(folder: Path, marker: Path) -> Path:
    """A layer that is a class of the standard library, started with the payload as its argument."""

    def replace(layer: dict) -> None:
        layer.update(
            module="subprocess",
            class_name="Popen",
            registered_name="Popen",
            config={"args": ["touch", str(marker)], "name": "conv"},
        )

    return _rewritten(folder / "class.keras", replace)


def import_of_module(folder: Path, marker: Path) -> Path:
    """A module that writes the marker when it is imported: the model says that its class is in there."""
    (folder / "payload_module.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Network: pass\n")
    entry = {"module": "payload_module", "class_name": "Network", "config": {}, "registered_name": "Network"}
    return _with_configuration(folder / "import.keras", json.dumps(entry))


def keras_utility(folder: Path, marker: Path) -> Path:
    """Keras's own download function in the place of an initialiser."""
    entry = {
        "module": "keras.utils",
        "class_name": "get_file",
        "config": {"fname": str(marker), "origin": f"file://{__file__}"},
        "registered_name": None,
    }
    return _rewritten(folder / "utility.keras", _conv, kernel_initializer=entry)


def operator_h5(folder: Path, marker: Path) -> Path:
    """An operator layer that calls tf.io.write_file by name."""
    path = honest(folder / "operator.h5")
    with h5py.File(path, "a") as file:
        configuration = json.loads(file.attrs["model_config"])
        layer = configuration["config"]["layers"][1]
        layer.update(class_name="TFOpLambda", config={"name": "conv", "function": "io.write_file"})
        layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, str(marker), {"contents": "x"}]]
        file.attrs["model_config"] = json.dumps(configuration)
    return path


def object_in_settings(folder: Path, marker: Path) -> Path:
    """A Lambda within the settings of a layer that is allowed."""
    inner = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    return _rewritten(folder / "inner.keras", _conv, filters=inner)


HOSTILE = (
    lambda_h5,
    lambda_keras,
    saved_model,
    function_by_module,
    class_by_module,
    import_of_module,
    keras_utility,
    operator_h5,
    object_in_settings,
)


def nested_without_end(folder: Path) -> Path:
    return _with_configuration(folder / "nested.keras", "[" * 100_000 + "]" * 100_000)


def zip_bomb(folder: Path) -> Path:
    return _with_configuration(folder / "bomb.keras", " " * (1 << 26) + "{}", zipfile.ZIP_DEFLATED)


def huge_layer(folder: Path) -> Path:
    """Weights of 4 TB, asked for in a few bytes."""
    return _rewritten(folder / "huge.keras", _conv, filters=10**10)


def huge_feature_map(folder: Path) -> Path:
    def replace(layer: dict) -> None:
        layer.update(class_name="UpSampling2D", config={"name": "conv", "size": [10**5, 10**5]})

    return _rewritten(folder / "map.keras", replace)


def huge_feature_map_inside(folder: Path) -> Path:
    """The same within a model within the model, that makes it small again."""
    images = tf.keras.Input((8, 8, 3))
    inner = tf.keras.Sequential([L.UpSampling2D(10**4), L.GlobalMaxPooling2D()], name="inner")
    tf.keras.Model(images, inner(images)).save(folder / "inside.keras")
    return folder / "inside.keras"


def huge_feature_map_of_any_image(folder: Path) -> Path:
    """The same for images whose size the file leaves open."""
    images = tf.keras.Input((None, None, 3))
    inner = tf.keras.Sequential([L.UpSampling2D(10**4), L.GlobalMaxPooling2D()], name="inner")
    tf.keras.Model(images, inner(images)).save(folder / "open.keras")
    return folder / "open.keras"


def layer_that_waits_for_itself(folder: Path) -> Path:
    return _rewritten(folder / "itself.keras", lambda layer: layer.update(inbound_nodes=[[["conv", 0, 0, {}]]]))


def layer_that_waits_for_a_call_never_made(folder: Path) -> Path:
    def replace(layer: dict) -> None:
        layer["inbound_nodes"].append([["conv", 7, 0, {}]])

    return _rewritten(folder / "call.keras", replace)


def argument_that_is_never_there(folder: Path) -> Path:
    def replace(layer: dict) -> None:
        layer["inbound_nodes"][0][0][3] = {"mask": ["conv", 0, 0]}

    return _rewritten(folder / "argument.keras", replace)


def sparse_array(folder: Path) -> Path:
    """An array of 4 TB that takes no room in the file."""
    path = honest(folder / "sparse.h5")
    with h5py.File(path, "a") as file:
        file.create_dataset("model_weights/more", (10**12,), np.float32)
    return path


def link_to_another_file(folder: Path) -> Path:
    path = honest(folder / "link.h5")
    with h5py.File(folder / "other.h5", "w") as file:
        file["secret"] = np.zeros(4, np.float32)
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv/conv"]
        del group["bias:0"]
        group["bias:0"] = h5py.ExternalLink(str(folder / "other.h5"), "secret")
    return path


def array_of_another_file(folder: Path) -> Path:
    path = honest(folder / "external.h5")
    (folder / "raw").write_bytes(b"\0" * 16)
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv/conv"]
        del group["bias:0"]
        group.create_dataset("bias:0", (4,), np.float32, external=[(str(folder / "raw"), 0, 16)])
    return path


DAMAGED = (
    nested_without_end,
    zip_bomb,
    huge_layer,
    huge_feature_map,
    huge_feature_map_inside,
    huge_feature_map_of_any_image,
    layer_that_waits_for_itself,
    layer_that_waits_for_a_call_never_made,
    argument_that_is_never_there,
    sparse_array,
    link_to_another_file,
    array_of_another_file,
)


def _conv(layer: dict) -> None:
    """Leaves the layer what it is."""


def _rewritten(path: Path, change, **settings) -> Path:
    honest(path)
    with zipfile.ZipFile(path) as archive:
        configuration = json.loads(archive.read("config.json"))
    layer = configuration["config"]["layers"][1]
    layer["config"].update(settings)
    change(layer)
    return _with_configuration(path, json.dumps(configuration))


def _with_configuration(path: Path, text: str, compression: int = zipfile.ZIP_STORED) -> Path:
    honest(path)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["config.json"] = text.encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, member in content.items():
            archive.writestr(name, member)
    return path
