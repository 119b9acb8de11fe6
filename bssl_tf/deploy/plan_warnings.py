"""What a deployment plan has to say in plain words, one sentence for all layers that share a weakness."""

from typing import Callable

from bssl_tf.deploy.plan_layers import PlannedLayer

_REGISTER_BITS = 128
_WASTE_WORTH_TELLING = 0.2


def warnings_about(layers: tuple[PlannedLayer, ...]) -> tuple[str, ...]:
    """Notes on a plan, most important first; none if the network suits the engine."""
    notes = []
    for concerns, sentence in _NOTES:
        names = [layer.name for layer in layers if concerns(layer)]
        if names:
            notes.append(f"{_listed(names)}: {sentence}")
    if not any(layer.binary for layer in layers):
        notes.insert(0, "This network has no binary convolution, so it gains nothing from the engine.")
    return tuple(notes)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"


def _idle_share(layer: PlannedLayer) -> float:
    """Share of a 128-bit register's lanes that stay idle over one window of the kernel."""
    bits = layer.kernel[0] * layer.kernel[1] * layer.kernel[2]
    return 1 - bits / (-(-bits // _REGISTER_BITS) * _REGISTER_BITS)


_NOTES: tuple[tuple[Callable[[PlannedLayer], bool], str], ...] = (
    (
        lambda layer: layer.binary and "stage 2" in layer.why,
        (
            "float kernels on binary inputs. This is a stage 1 network; it deploys as the binary one of stage"
            " 2, which is what the plan counts."
        ),
    ),
    (
        lambda layer: layer.binary and layer.zero_padded,
        (
            "zero padding on a binary convolution, where zero is no sign. It blocks fusion and costs a"
            " correction; pad with one (pad_values=1.0)."
        ),
    ),
    (
        lambda layer: layer.binary and layer.kernel[2] % 32 != 0,
        (
            "input channels are not a multiple of 32, the bits of a word, so part of each word is computed"
            " for nothing. Multiples of 32 suit (--student_width)."
        ),
    ),
    (
        lambda layer: layer.binary and layer.kernel[3] % 8 != 0,
        "output channels are not a multiple of 8, the block that the ARM kernels work in (--student_width).",
    ),
    (
        lambda layer: layer.binary and layer.kernel[2] % 32 == 0 and _idle_share(layer) >= _WASTE_WORTH_TELLING,
        (
            "kernel area × input channels is far from a multiple of 128, the bits of a register, so a fifth"
            " of the lanes or more stays idle. Costs little in small layers; wider ones use them fully"
            " (--student_width)."
        ),
    ),
    (
        lambda layer: "no binary operator for" in layer.why or "no binary dense" in layer.why,
        (
            "quantized, but the engine has no binary operator for this kind of layer, so it runs in float"
            " with float weights in the file. An ordinary or 1×1 binary convolution would not."
        ),
    ),
    (
        lambda layer: not layer.binary and layer.kernel is not None and layer.kernel[:2] == (1, 1),
        "a float 1×1 convolution, which takes 32 times the bytes of a binary one.",
    ),
)
