"""A backbone as data: everything needed to build a network again, without TensorFlow.

Describe and build one:

    spec = BackboneSpec("reactnet_small", image_size=32, channels=3, mean=(125, 123, 114), std=(63, 62, 67))
    model = build_backbone(spec)                          # pixels 0..255 in, feature vector out
"""

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bssl_tf.errors import UserError
from bssl_tf.files import read_json
from bssl_tf.models.choices import (
    ARCHITECTURES,
    BINARY,
    MODES,
    QUANTIZERS,
    RESNET_BLOCKS,
    STEM_BY_SIZE,
    STEMS,
    has_large_stem,
)

SPEC_FILE = "backbone.json"
WEIGHTS_FILE = "backbone.weights.h5"
TEACHER_FOLDER = "teacher"
"""Folder of a run's workdir that holds its teacher."""

LARGEST_IMAGE = 2048
"""Height and width in pixels, as --image_size has it."""
_LIMITS = {"width": (1, 4096), "depth": (1, 64), "stages": (1, 8), "dense": (0, 65536)}
"""Smallest and largest, as the flags of students and teachers have them."""
_REMEDY = "restore it from a copy, or train the network again"


@dataclass(frozen=True)
class BackboneSpec:
    """Describes a network from pixels to a feature vector.

    Args:
        name: one of `choices.STUDENTS` or `choices.TEACHERS`.
        image_size: height and width in pixels, at most `LARGEST_IMAGE`.
        channels: 1 or 3.
        mean: mean of each channel, in pixel units (0..255).
        std: standard deviation of each channel, in pixel units.
        width: channels of the stem, 1 to 4096 (`reactnet_small`, `resnet_small` only, as the next two).
        depth: blocks in each stage, 1 to 64.
        stages: number of stages, 1 to 8.
        dense: width of a final dense layer with ReLU, up to 65536; 0 for none.
        mode: what is binary, one of `choices.MODES`. Teachers are `float`.
        quantizer: one of `choices.QUANTIZERS`. For networks of Larq Zoo `ste_sign` is the zoo's own
            form of it.
        stem: first layers of a ResNet-18, -34 or -50, one of `choices.STEMS`.

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

    def __post_init__(self) -> None:
        for field in ("mean", "std"):
            object.__setattr__(self, field, self._numbers(field))
        _check_choice("backbone", self.name, tuple(ARCHITECTURES))
        _check_choice("mode", self.mode, MODES)
        _check_choice("--quantizer", self.quantizer, QUANTIZERS)
        _check_choice("stem", self.stem, STEMS)
        _check_choice("--channels", self.channels, (1, 3))
        for field, (low, high) in _LIMITS.items():
            value = getattr(self, field)
            if type(value) is not int or not low <= value <= high:
                raise UserError(
                    f"{self.name}: {field} must be a whole number, at least {low} and at most {high}, received "
                    f"{_short(value)}."
                )
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
        if type(self.image_size) is not int or self.image_size > LARGEST_IMAGE:
            raise UserError(
                f"--image_size={_short(self.image_size)}: give a whole number of pixels, at most {LARGEST_IMAGE}."
            )
        if self.image_size < architecture.smallest:
            others = [name for name, other in ARCHITECTURES.items() if other.smallest <= self.image_size]
            raise UserError(
                f"--image_size={self.image_size} is too small for {self.name}: it halves the feature map "
                f"until nothing is left. Use {architecture.smallest} or more"
                + (f", or one of {', '.join(others)}." if others else ".")
            )

    def _numbers(self, field: str) -> tuple[float, ...]:
        """The values of mean or std, all finite."""
        try:
            values = tuple(float(value) for value in getattr(self, field))
        except (TypeError, ValueError, OverflowError):
            values = (math.nan,)
        if not all(map(math.isfinite, values)):
            raise UserError(f"{self.name}: {field} cannot be {_short(getattr(self, field))}: give finite numbers.")
        return values

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
        return cls.from_fields(json.loads(text))

    @classmethod
    def from_fields(cls, values: dict[str, Any]) -> "BackboneSpec":
        """Inverse of `dataclasses.asdict`, for values of unknown origin.

        Raises:
            UserError: an unknown or missing field, or a value that is not allowed.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"not the description of a backbone ({error})") from error


def read_spec(folder: str | os.PathLike, with_weights: bool = True) -> BackboneSpec:
    """The description alone of what `save_backbone` wrote; raises as `load_backbone` does.

    Args:
        folder: of the backbone.
        with_weights: whether its weights have to be there.
    """
    folder = Path(folder)
    for file in (SPEC_FILE, WEIGHTS_FILE) if with_weights else (SPEC_FILE,):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no backbone: {file} is missing.")
    content = read_json(folder / SPEC_FILE, dict, _REMEDY)
    try:
        return BackboneSpec.from_fields(content)
    except UserError as error:
        raise UserError(f"{folder / SPEC_FILE} cannot be used: {error}") from error


def _short(value: Any) -> str:
    return repr(value)[:40]


def _check_choice(what: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if type(value) is not type(allowed[0]) or value not in allowed:
        raise UserError(f"Unknown {what} {_short(value)}. There are: {', '.join(map(str, allowed))}.")
