"""The detector: a binary backbone's feature maps, a binary neck, an anchor-free head.

    neck    a feature pyramid (https://arxiv.org/abs/1612.03144): binary 1×1 convolutions bring every level to one
            number of channels, coarser levels are added to finer ones, a binary 3×3 convolution smooths each
    head    that of FCOS (https://arxiv.org/abs/1904.01355), lighter: binary 3×3 convolutions whose kernels all levels
            share, with batch norms of their own (as in https://arxiv.org/abs/1911.09070), and one float 1×1
            convolution for classes, box sides and centreness

Binary convolutions are blocks of ReActNet: bias, sign, convolution padded with +1, batch norm, shortcut where the
channels are the same, RPReLU.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from bssl_tf.detection.targets import Grid
from bssl_tf.errors import UserError
from bssl_tf.files import read_json, write_json
from bssl_tf.models import BINARY, BackboneSpec, LearnableBias, build_backbone
from bssl_tf.models.layers import QuantConv2D, RPReLU
from bssl_tf.models.normalisation import batch_norm
from bssl_tf.models.quantization import Binarisation
from bssl_tf.models.weights_file import memory_as_in, read_weights, write_weights

STRIDES = (8, 16, 32)
SIDES = 4
NUM_EXTRA = SIDES + 1
"""Outputs beside the classes: logarithms of the distances to top, left, bottom, right, in strides; centreness."""
PRIOR = 0.01
"""Probability of an object that the head starts with at every position, so that the many positions without one do not
drown the rest at first (https://arxiv.org/abs/1708.02002, section 3.3)."""
DETECTOR_FILE, DETECTOR_WEIGHTS_FILE = "detector_spec.json", "detector.weights.h5"
L = tf.keras.layers


@dataclass(frozen=True)
class DetectorSpec:
    """Attributes:
    backbone: at the detector's image size.
    class_names: in the order of the outputs.
    neck_channels: of neck and head.
    head_depth: binary convolutions of the head.
    """

    backbone: BackboneSpec
    class_names: tuple[str, ...]
    neck_channels: int = 128
    head_depth: int = 2

    def __post_init__(self) -> None:
        numbers = {"neck_channels": (self.neck_channels, 1, 4096), "head_depth": (self.head_depth, 1, 32)}
        for name, (value, low, high) in numbers.items():
            if not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"{name} must be a whole number from {low} to {high}, received {value!r}.")
        if not self.class_names or not all(isinstance(name, str) for name in self.class_names):
            raise UserError(f"a detector needs names of classes, received {self.class_names!r}.")


@dataclass(frozen=True)
class Detector:
    """Attributes:
    spec: what it is made of.
    backbone: pixels → features; shares its layers with `model`.
    model: pixels (None, S, S, C) in 0..255 → raw outputs (None, P, classes + NUM_EXTRA) float32, classes first.
    grid: the P positions.
    """

    spec: DetectorSpec
    backbone: tf.keras.Model
    model: tf.keras.Model
    grid: Grid

    @property
    def num_classes(self) -> int:
        return len(self.spec.class_names)


def build_detector(spec: DetectorSpec, backbone: tf.keras.Model | None = None) -> Detector:
    """A detector on a backbone; neck and head are freshly initialised.

    Args:
        spec: describes all of it.
        backbone: with weights, of the spec's architecture and image size; None: a random one.

    Raises:
        UserError: the network has none of the strides, or the image size does not fit them.
    """
    backbone = build_backbone(spec.backbone) if backbone is None else backbone
    levels = pyramid(backbone)
    grid = Grid(spec.backbone.image_size, tuple(levels))
    binarisation = Binarisation(BINARY, spec.backbone.quantizer)
    maps = _neck(list(levels.values()), spec.neck_channels, binarisation)
    outputs = _head(maps, len(spec.class_names), spec.head_depth, binarisation)
    return Detector(spec, backbone, tf.keras.Model(backbone.input, outputs, name=f"{backbone.name}_detector"), grid)


def pyramid(backbone: tf.keras.Model) -> dict[int, tf.Tensor]:
    """Stride → the backbone's last feature map of that stride, those of `STRIDES` that it has, finest first.

    Raises:
        UserError: it has none, or its image size is no multiple of the coarsest one.
    """
    size = backbone.input_shape[1]
    order = {id(layer.output): place for place, layer in enumerate(backbone.layers)}
    found: dict[int, tf.Tensor] = {}
    for tensor in _last_of_their_size(backbone):
        stride = 2 ** round(math.log2(size / tensor.shape[1]))
        if stride in STRIDES and order[id(tensor)] <= order[id(found.get(stride, tensor))]:
            found[stride] = tensor
    if not found:
        raise UserError(
            f"{backbone.name} with images of {size} pixels has no feature map whose stride is one of "
            f"{', '.join(map(str, STRIDES))}: choose an --image_size that is a multiple of {STRIDES[-1]}, or a network "
            "with more stages."
        )
    coarsest = max(found)
    if size % coarsest:
        raise UserError(
            f"--image_size={size} is no multiple of {coarsest}, the coarsest stride of {backbone.name}: give "
            f"{-(-size // coarsest) * coarsest}."
        )
    return dict(sorted(found.items()))


def _last_of_their_size(backbone: tf.keras.Model) -> Iterator[tf.Tensor]:
    """Feature maps that a layer makes smaller maps, or a vector, of."""
    for layer in backbone.layers[1:]:
        made = layer.output.shape
        for tensor in tf.nest.flatten(layer.input):
            if tensor.shape.rank == 4 and (made.rank < 4 or made[1] < tensor.shape[1]):
                yield tensor


def _binary_block(x: tf.Tensor, size: int, channels: int, binarisation: Binarisation, name: str) -> tf.Tensor:
    biased = LearnableBias(name=f"{name}_bias")(x)
    convolved = batch_norm(name=f"{name}_norm")(_convolution(size, channels, binarisation, name)(biased))
    if x.shape[-1] == channels:
        convolved = L.Add(name=f"{name}_sum")([convolved, x])
    return RPReLU(name=f"{name}_rprelu")(convolved)


def _convolution(size: int, channels: int, binarisation: Binarisation, name: str) -> QuantConv2D:
    return QuantConv2D(
        channels,
        size,
        padding="same",
        kernel_initializer="glorot_normal",
        use_bias=False,
        name=name,
        **binarisation.options(),
    )


def _neck(levels: list[tf.Tensor], channels: int, binarisation: Binarisation) -> list[tf.Tensor]:
    """Maps of `channels` channels, finest first as `levels` are."""
    made: list[tf.Tensor] = []
    coarser = None
    for number, level in reversed(list(enumerate(levels))):
        x = _binary_block(level, 1, channels, binarisation, f"lateral{number}")
        if coarser is not None:
            factor = x.shape[1] // coarser.shape[1]
            larger = L.UpSampling2D(factor, interpolation="nearest", name=f"larger{number}")(coarser)
            x = L.Add(name=f"merged{number}")([x, larger])
        coarser = x
        made.insert(0, _binary_block(x, 3, channels, binarisation, f"smooth{number}"))
    return made


def _head(maps: list[tf.Tensor], num_classes: int, depth: int, binarisation: Binarisation) -> tf.Tensor:
    channels = maps[0].shape[-1]
    for place in range(depth):
        name = f"head{place}"
        bias, shape = LearnableBias(name=f"{name}_bias"), RPReLU(name=f"{name}_rprelu")
        convolution = _convolution(3, channels, binarisation, name)
        for level, x in enumerate(maps):
            convolved = batch_norm(name=f"{name}_norm{level}")(convolution(bias(x)))
            maps[level] = shape(L.Add(name=f"{name}_sum{level}")([convolved, x]))
    outputs = num_classes + NUM_EXTRA
    prior = [-math.log((1 - PRIOR) / PRIOR)] * num_classes + [0.0] * NUM_EXTRA
    predict = L.Conv2D(
        outputs,
        1,
        kernel_initializer=tf.keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=lambda shape, dtype=None: tf.constant(prior, dtype),
        dtype="float32",
        name="predict",
    )
    rows = [L.Reshape((-1, outputs), dtype="float32", name=f"rows{n}")(predict(x)) for n, x in enumerate(maps)]
    return rows[0] if len(rows) == 1 else L.Concatenate(axis=1, dtype="float32", name="positions")(rows)


def save_detector(detector: Detector, folder: Path, facts: dict[str, Any]) -> None:
    """Write `folder`/detector.weights.h5, then `folder`/detector_spec.json, each whole or not at all."""
    write_weights(detector.model, Path(folder) / DETECTOR_WEIGHTS_FILE)
    write_json(Path(folder) / DETECTOR_FILE, asdict(detector.spec) | {"facts": facts})


def load_detector(folder: Path) -> tuple[Detector, dict[str, Any]]:
    """What `save_detector` wrote: the detector, and the facts.

    Raises:
        FileNotFoundError: a file is missing.
        UserError: a file is damaged, or they do not belong together.
    """
    folder = Path(folder)
    for name in (DETECTOR_FILE, DETECTOR_WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no detector: {name} is missing.")
    spec, facts = read_detector_spec(folder)
    with memory_as_in(folder / DETECTOR_WEIGHTS_FILE, described_in=DETECTOR_FILE):
        detector = build_detector(spec)
    read_weights(detector.model, folder / DETECTOR_WEIGHTS_FILE, described_in=DETECTOR_FILE)
    return detector, facts


def read_detector_spec(folder: Path) -> tuple[DetectorSpec, dict[str, Any]]:
    """The description of the detector in `folder`, and the facts, as `save_detector` wrote them.

    Raises:
        UserError: it is damaged, or describes none; names the file and the remedy.
    """
    path, remedy = Path(folder) / DETECTOR_FILE, "restore it from a copy, or train the detector again"
    content = read_json(path, dict, remedy)
    facts, backbone, names = (content.pop(name, None) for name in ("facts", "backbone", "class_names"))
    for name, value, kind in (("facts", facts, dict), ("backbone", backbone, dict), ("class_names", names, list)):
        if not isinstance(value, kind):
            raise UserError(f"{path}: {name} cannot be {str(value)[:40]!r}: {remedy}.")
    try:
        return DetectorSpec(BackboneSpec(**backbone), tuple(names), **content), facts
    except (ValueError, TypeError, UserError) as error:
        raise UserError(f"{path} cannot be used ({error}): {remedy}.") from error
