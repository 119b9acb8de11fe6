"""Networks from their description, and their weights on disk.

Build, save and load one:

    model = build_backbone(spec)                          # pixels 0..255 in, feature vector out
    save_backbone(model, spec, "run/stage1")
    model, spec = load_backbone("run/stage1", mode="binary")   # same weights, now used as ±1
"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from bssl_tf.files import write_text
from bssl_tf.models.choices import RESNET_BLOCKS
from bssl_tf.models.normalisation import PixelNormalisation
from bssl_tf.models.quantization import Binarisation
from bssl_tf.models.reactnet import reactnet_a, reactnet_small
from bssl_tf.models.resnet import resnet, resnet_small
from bssl_tf.models.spec import SPEC_FILE, WEIGHTS_FILE, BackboneSpec, read_spec
from bssl_tf.models.weights_file import memory_as_in, read_weights, write_weights
from bssl_tf.models.zoo import ZOO, ZOO_CLIP, rebuild, zoo_feature_map


def _binarisation(spec: BackboneSpec) -> Binarisation:
    return Binarisation(spec.mode, spec.quantizer, clip=ZOO_CLIP if spec.name in ZOO else 1.0)


_FEATURE_MAPS: dict[str, Callable[[tf.Tensor, BackboneSpec], tf.Tensor]] = {
    "reactnet_small": lambda x, spec: reactnet_small(x, spec.width, spec.depth, spec.stages, _binarisation(spec)),
    "reactnet_a": lambda x, spec: reactnet_a(x, _binarisation(spec)),
    **{name: lambda x, spec: zoo_feature_map(x, spec.name) for name in ZOO},
    "resnet_small": lambda x, spec: resnet_small(x, spec.width, spec.depth, spec.stages),
    **{name: lambda x, spec: resnet(x, spec.name, spec.stem) for name in RESNET_BLOCKS},
}
"""Name → (normalised images, spec) → feature map."""


def build_backbone(spec: BackboneSpec) -> tf.keras.Model:
    """Build a freshly initialised backbone.

    Returns:
        A functional model from "pixels" (None, S, S, C) float32 in 0..255 to a feature vector (None, D)
        float32. Its first layer normalises; normalisation and features are float32 under every precision
        policy.
    """
    shape = (spec.image_size, spec.image_size, spec.channels)
    pixels = tf.keras.Input(shape, name="pixels", dtype="float32")
    x = PixelNormalisation(spec.mean, spec.std, name="normalise")(pixels)
    x = _FEATURE_MAPS[spec.name](x, spec)
    x = tf.keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    if spec.dense:
        x = tf.keras.layers.Dense(spec.dense, activation="relu", dtype="float32", name="dense")(x)
    model = tf.keras.Model(pixels, x, name=spec.name)
    return rebuild(model, _binarisation(spec)) if spec.name in ZOO else model


def save_backbone(model: tf.keras.Model, spec: BackboneSpec, folder: str | os.PathLike) -> None:
    """Write `folder`/backbone.json and `folder`/backbone.weights.h5, each whole or not at all."""
    write_weights(model, Path(folder) / WEIGHTS_FILE)
    write_text(Path(folder) / SPEC_FILE, spec.to_json())


def load_backbone(folder: str | os.PathLike, **overrides: Any) -> tuple[tf.keras.Model, BackboneSpec]:
    """Read what `save_backbone` wrote.

    Args:
        folder: where backbone.json and backbone.weights.h5 lie.
        **overrides: fields of the spec to change, such as ``mode="binary"``.

    Raises:
        FileNotFoundError: one of the two files is missing.
        UserError: a file is damaged, or the weights are those of another network.
    """
    spec = dataclasses.replace(read_spec(folder), **overrides)
    weights = Path(folder) / WEIGHTS_FILE
    with memory_as_in(weights, described_in=SPEC_FILE):
        model = build_backbone(spec)
    read_weights(model, weights, described_in=SPEC_FILE)
    return model, spec
