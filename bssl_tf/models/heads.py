"""The small networks on top of a backbone: both classifiers of BSSL, projections, and those of teachers from elsewhere.

A head on disk is two files: ``projection.json`` lists its layers, ``projection.weights.h5`` holds its weights.
"""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.files import read_json, write_json
from bssl_tf.models.normalisation import batch_norm
from bssl_tf.models.weights_file import memory_as_in, read_weights, write_weights

HEAD_FILE = "projection.json"
HEAD_WEIGHTS_FILE = "projection.weights.h5"
MOST_LAYERS, MOST_UNITS = 32, 2**31 - 1
_REMEDY = "restore it from a copy, or make the head again"


@dataclass(frozen=True)
class HeadLayer:
    """A dense layer and what follows it.

    Args:
        units: outputs.
        activation: "relu", after the batch norm if there is one, or None.
        batch_norm: whether a batch norm follows.
        use_bias: whether the dense layer has a bias.
    """

    units: int
    activation: str | None = None
    batch_norm: bool = False
    use_bias: bool = True

    def __post_init__(self) -> None:
        if not _is_count(self.units, MOST_UNITS) or self.activation not in (None, "relu"):
            raise UserError(
                f"a layer of a head needs units, a whole number from 1 to {MOST_UNITS}, and activation null or relu; "
                f"received {str(self)[:200]}"
            )


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _as_in_pytorch() -> tf.keras.initializers.Initializer:
    """Uniform in ±1 / √inputs."""
    return tf.keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")


def mlp_head(input_width: int, hidden: int, outputs: int, name: str) -> tf.keras.Model:
    """Dense, batch norm, ReLU, dense: two layers, and no batch norm after the last.

    Dense layers start as PyTorch's do. It matters in BSSL: the target's classifier is random at first, so its
    initial weights decide how sharp the first targets are.

    Args:
        input_width: length of the feature vector.
        hidden: units of the hidden layer. It has no bias, the batch norm brings one.
        outputs: length of the result.
        name: name of the model.

    Returns:
        A model from (None, input_width) to (None, outputs), in float32 under every precision policy.
    """
    layers = (HeadLayer(hidden, "relu", batch_norm=True, use_bias=False), HeadLayer(outputs))
    return build_head(input_width, layers, name)


def build_head(input_width: int, layers: Sequence[HeadLayer], name: str = "projection") -> tf.keras.Model:
    """A model from (None, input_width) to (None, units of the last layer), in float32 under every precision policy."""
    features = tf.keras.Input((input_width,), name="features", dtype="float32")
    x = features
    for layer in layers:
        x = tf.keras.layers.Dense(
            layer.units, use_bias=layer.use_bias, kernel_initializer=_as_in_pytorch(), dtype="float32"
        )(x)
        x = batch_norm(dtype="float32")(x) if layer.batch_norm else x
        x = tf.keras.layers.ReLU(dtype="float32")(x) if layer.activation else x
    return tf.keras.Model(features, x, name=name)


def save_head(head: tf.keras.Model, folder: str | os.PathLike) -> None:
    """Write `folder`/projection.json and `folder`/projection.weights.h5.

    Args:
        head: made by `build_head`, `mlp_head` or `load_head`.
        folder: for instance where the backbone under the head is saved.
    """
    layers = []
    for layer in head.layers[1:]:
        if isinstance(layer, tf.keras.layers.Dense):
            layers.append(HeadLayer(layer.units, use_bias=layer.use_bias))
        elif isinstance(layer, tf.keras.layers.BatchNormalization):
            layers[-1] = dataclasses.replace(layers[-1], batch_norm=True)
        else:
            layers[-1] = dataclasses.replace(layers[-1], activation="relu")
    content = {"layers": [dataclasses.asdict(layer) for layer in layers], "input_width": head.input_shape[-1]}
    write_weights(head, Path(folder) / HEAD_WEIGHTS_FILE)
    write_json(Path(folder) / HEAD_FILE, content)


def load_head(folder: str | os.PathLike) -> tf.keras.Model:
    """Read what `save_head` wrote.

    Raises:
        FileNotFoundError: one of the two files is missing.
        UserError: a file is damaged, or they do not belong together.
    """
    folder = Path(folder)
    for file in (HEAD_FILE, HEAD_WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no projection head: {file} is missing.")
    content = read_json(folder / HEAD_FILE, dict, _REMEDY)
    try:
        width, layers = content["input_width"], [HeadLayer(**layer) for layer in content["layers"]]
        if not _is_count(width, MOST_UNITS) or not _is_count(len(layers), MOST_LAYERS):
            raise UserError(
                f"input_width cannot be {str(width)[:40]} and layers {len(layers)}: give whole numbers, at most "
                f"{MOST_UNITS} and {MOST_LAYERS}."
            )
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder / HEAD_FILE} cannot be used: {error}") from error
    with memory_as_in(folder / HEAD_WEIGHTS_FILE, described_in=HEAD_FILE):
        head = build_head(width, layers)
    read_weights(head, folder / HEAD_WEIGHTS_FILE, described_in=HEAD_FILE)
    return head
