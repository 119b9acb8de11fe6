"""What networks there are, and what each of them can be: names and limits, without TensorFlow."""

from dataclasses import dataclass

FLOAT = "float"
BINARY_ACTIVATIONS = "binary_activations"
BINARY = "binary"
MODES = (FLOAT, BINARY_ACTIVATIONS, BINARY)
"""What is binary in a network, see `quantization`."""

QUANTIZERS = ("ste_sign", "approx_sign", "swish_sign", "magnitude_aware_sign")

STEM_BY_SIZE = "by_size"
STEM_LARGE = "large"
STEMS = (STEM_BY_SIZE, STEM_LARGE)
"""First layers of a ResNet-18, -34 or -50. `STEM_LARGE` is that of ImageNet: a 7×7 convolution with stride 2 and a max
pool, whatever the size of the images. `STEM_BY_SIZE` has it from 64 pixels; below, a 3×3 convolution without stride, as
usual for CIFAR."""

SMALL_BELOW = 64
"""Images of fewer pixels have no detail to give away in the first layer."""

RESNET_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
"""Blocks in each stage."""


@dataclass(frozen=True)
class Architecture:
    """Limits of a network.

    Attributes:
        smallest: image size that it needs, in pixels.
        modes: those of `MODES` that it has.
        why: the reason where it lacks some.
    """

    smallest: int = 8
    modes: tuple[str, ...] = MODES
    why: str = ""


def _from_zoo(smallest: int) -> Architecture:
    modes = (BINARY_ACTIVATIONS, BINARY)
    return Architecture(smallest, modes, "Larq Zoo designed it around the sign as its non-linearity")


_TEACHER = Architecture(modes=(FLOAT,), why="it is a teacher, and teachers are float networks")

ZOO_ARCHITECTURES = {
    "quicknet_small": _from_zoo(32),
    "quicknet": _from_zoo(32),
    "quicknet_large": _from_zoo(32),
    "binary_resnet_e18": _from_zoo(8),
}
_STUDENTS = {"reactnet_small": Architecture(), "reactnet_a": Architecture(smallest=32), **ZOO_ARCHITECTURES}
_TEACHERS = {"resnet_small": _TEACHER, **dict.fromkeys(RESNET_BLOCKS, _TEACHER)}

ARCHITECTURES: dict[str, Architecture] = _STUDENTS | _TEACHERS
STUDENTS = tuple(_STUDENTS)
TEACHERS = tuple(_TEACHERS)


def has_large_stem(image_size: int, stem: str) -> bool:
    """Whether a ResNet-18, -34 or -50 starts with the 7×7 convolution and the max pool."""
    return stem == STEM_LARGE or image_size >= SMALL_BELOW
