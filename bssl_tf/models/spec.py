"""A backbone as data: everything needed to build a network again, and to put its weights back.

Build, save and load one:

    spec = BackboneSpec("reactnet_small", image_size=32, channels=3, mean=(125, 123, 114), std=(63, 62, 67))
    model = build_backbone(spec)                          # pixels 0..255 in, feature vector out
    save_backbone(model, spec, "run/stage1")
    model, spec = load_backbone("run/stage1", mode="binary")   # same weights, now used as ±1
"""

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bssl_tf.config.training import QUANTIZERS
from bssl_tf.errors import UserError
from bssl_tf.files import write_text
from bssl_tf.models.normalisation import PixelNormalisation
from bssl_tf.models.quantization import BINARY, FLOAT, MODES, Binarisation
from bssl_tf.models.reactnet import reactnet_a, reactnet_small
from bssl_tf.models.resnet import RESNET_BLOCKS, STEM_BY_SIZE, STEMS, has_large_stem, resnet, resnet_small
from bssl_tf.models.weights_file import read_weights, write_weights
from bssl_tf.models.zoo import ZOO, ZOO_CLIP, rebuild, zoo_feature_map

SPEC_FILE = "backbone.json"
WEIGHTS_FILE = "backbone.weights.h5"


@dataclass(frozen=True)
class BackboneSpec:
    """Describes a network from pixels to a feature vector.

    Args:
        name: one of `config.STUDENTS` or `config.TEACHERS`.
        image_size: height and width in pixels.
        channels: 1 or 3.
        mean: mean of each channel, in pixel units (0..255).
        std: standard deviation of each channel, in pixel units.
        width: channels of the stem (`reactnet_small`, `resnet_small` only, as the next two).
        depth: blocks in each stage.
        stages: number of stages.
        dense: width of a final dense layer with ReLU; 0 for none.
        mode: what is binary, one of `quantization.MODES`. Teachers are `float`.
        quantizer: one of `config.QUANTIZERS`. For networks of Larq Zoo `ste_sign` is the zoo's own
            form of it.
        stem: first layers of a ResNet-18, -34 or -50, one of `resnet.STEMS`.

    Raises:
        UserError: a value is not allowed, or does not suit the architecture.
    """

    name: str
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    width: int = 32
    depth: int = 1
    stages: int = 3
    dense: int = 0
    mode: str = BINARY
    quantizer: str = "ste_sign"
    stem: str = STEM_BY_SIZE

    def __post_init__(self):
        for field in ("mean", "std"):
            object.__setattr__(self, field, tuple(float(value) for value in getattr(self, field)))
        _check_choice("backbone", self.name, tuple(ARCHITECTURES))
        _check_choice("mode", self.mode, MODES)
        _check_choice("--quantizer", self.quantizer, QUANTIZERS)
        _check_choice("stem", self.stem, STEMS)
        _check_choice("--channels", self.channels, (1, 3))
        for field, low in (("width", 1), ("depth", 1), ("stages", 1), ("dense", 0)):
            value = getattr(self, field)
            if value < low:
                raise UserError(f"{self.name}: {field} must be at least {low}, received {value}.")
        if not len(self.mean) == len(self.std) == self.channels or min(self.std, default=0) <= 0:
            raise UserError(
                f"{self.name}: mean and std need {self.channels} number(s) each, std above 0; received "
                f"mean={self.mean}, std={self.std}."
            )
        architecture = ARCHITECTURES[self.name]
        if self.mode not in architecture.modes:
            raise UserError(
                f"{self.name} has no mode {self.mode!r}, only {' and '.join(architecture.modes)}: {architecture.why}."
            )
        if self.image_size < architecture.smallest:
            others = [name for name, other in ARCHITECTURES.items() if other.smallest <= self.image_size]
            raise UserError(
                f"--image_size={self.image_size} is too small for {self.name}: it halves the feature map "
                f"until nothing is left. Use {architecture.smallest} or more"
                + (f", or one of {', '.join(others)}." if others else ".")
            )

    def is_same_at(self, image_size: int) -> bool:
        """Whether images of another size go through the same layers: the features are averages over all positions."""
        large = has_large_stem(self.image_size, self.stem)
        return self.name in RESNET_BLOCKS and has_large_stem(image_size, self.stem) == large

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "BackboneSpec":
        """Inverse of `to_json`.

        Raises:
            ValueError: not JSON, an unknown or missing field, or a value that is not allowed.
        """
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise UserError(f"not the description of a backbone ({error})") from error


@dataclass(frozen=True)
class _Architecture:
    feature_map: Callable[[tf.Tensor, BackboneSpec], tf.Tensor]
    smallest: int = 8
    modes: tuple[str, ...] = MODES
    why: str = ""


def _binarisation(spec: BackboneSpec) -> Binarisation:
    return Binarisation(spec.mode, spec.quantizer, clip=ZOO_CLIP if spec.name in ZOO else 1.0)


def _from_zoo(smallest: int) -> _Architecture:
    return _Architecture(
        lambda x, spec: zoo_feature_map(x, spec.name),
        smallest=smallest,
        modes=tuple(mode for mode in MODES if mode != FLOAT),
        why="Larq Zoo designed it around the sign as its non-linearity",
    )


_TEACHER = dict(modes=(FLOAT,), why="it is a teacher, and teachers are float networks")

ARCHITECTURES: dict[str, _Architecture] = {
    "reactnet_small": _Architecture(
        lambda x, spec: reactnet_small(x, spec.width, spec.depth, spec.stages, _binarisation(spec))
    ),
    "reactnet_a": _Architecture(lambda x, spec: reactnet_a(x, _binarisation(spec)), smallest=32),
    "quicknet_small": _from_zoo(32),
    "quicknet": _from_zoo(32),
    "quicknet_large": _from_zoo(32),
    "binary_resnet_e18": _from_zoo(8),
    "resnet_small": _Architecture(lambda x, spec: resnet_small(x, spec.width, spec.depth, spec.stages), **_TEACHER),
    **{name: _Architecture(lambda x, spec: resnet(x, spec.name, spec.stem), **_TEACHER) for name in RESNET_BLOCKS},
}


def _check_choice(what: str, value, allowed: tuple) -> None:
    if value not in allowed:
        raise UserError(f"Unknown {what} {value!r}. There are: {', '.join(map(str, allowed))}.")


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
    x = ARCHITECTURES[spec.name].feature_map(x, spec)
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
    model = build_backbone(spec)
    read_weights(model, Path(folder) / WEIGHTS_FILE, described_in=SPEC_FILE)
    return model, spec


def read_spec(folder: str | os.PathLike) -> BackboneSpec:
    """The description alone of what `save_backbone` wrote; raises as `load_backbone` does."""
    folder = Path(folder)
    for file in (SPEC_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no backbone: {file} is missing.")
    try:
        return BackboneSpec.from_json((folder / SPEC_FILE).read_text())
    except ValueError as error:  # json's and unicode's own errors are ValueErrors too
        raise UserError(f"{folder / SPEC_FILE} cannot be used: {error}") from error
