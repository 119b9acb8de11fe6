"""PyTorch's tensors into Keras's layers. Every tensor must have its place, and every place its tensor."""

import re
from collections.abc import Collection, Mapping

import numpy as np
import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.models.choices import RESNET_BLOCKS
from bssl_tf.models.heads import HeadLayer, build_head

_NAMES_SHOWN = 6


def resnet_name(names: Collection[str]) -> str:
    """Which ResNet has these tensors: a key of `RESNET_BLOCKS`.

    Args:
        names: as torchvision has them, "layer1.0.conv1.weight" for instance.

    Raises:
        UserError: it is a ResNet of another depth.
    """
    places = {match.groups() for name in names if (match := re.match(r"layer(\d)\.(\d+)\.", name))}
    blocks = tuple(sum(stage == str(number) for stage, _ in places) for number in range(1, 5))
    is_bottleneck = any(re.match(r"layer\d\.\d+\.conv3\.", name) for name in names)
    name = next((n for n, own in RESNET_BLOCKS.items() if own == blocks and (n == "resnet50") == is_bottleneck), None)
    if name is None:
        kind = "bottlenecks (1×1, 3×3, 1×1)" if is_bottleneck else "basic blocks (3×3, 3×3)"
        raise UserError(
            f"the ResNet has {' + '.join(map(str, blocks))} {kind}: only ResNet-18, -34 and -50 can be imported."
        )
    return name


def fill_resnet(model: tf.keras.Model, tensors: Mapping[str, np.ndarray], unexpected: Collection[str] = ()) -> None:
    """Put the tensors of a PyTorch ResNet into ours.

    Args:
        model: `build_backbone` of a ResNet with the large stem; its layers are named as torchvision's modules.
        tensors: named as torchvision has them.
        unexpected: other names that the checkpoint holds.

    Raises:
        UserError: tensors are missing, left over, of another shape, or not finite.
    """
    places = {name: (layer, index) for layer in model.layers for index, name in enumerate(_tensors_of(layer))}
    missing = [name for name in places if name not in tensors]
    unexpected = [*unexpected, *(name for name in tensors if name not in places)]
    if missing or unexpected:
        raise UserError(
            f"the checkpoint does not hold the tensors of a {model.name}: {_some(missing)} missing; "
            f"{_some(unexpected)} unexpected."
        )
    found = {name: _axes_of_keras(np.asarray(tensors[name])).shape for name in places}
    expected = {name: tuple(layer.weights[index].shape) for name, (layer, index) in places.items()}
    differing = [name for name in places if found[name] != expected[name]]
    if differing:
        pairs = [f"{name} {found[name]} where {expected[name]} belongs" for name in differing]
        raise UserError(
            f"the checkpoint has other shapes than a {model.name} for RGB images (here in Keras's order of axes): "
            f"{_some(pairs)}. Wider networks, other stems and other channels cannot be imported."
        )
    for layer in model.layers:
        if names := _tensors_of(layer):
            layer.set_weights([_axes_of_keras(_finite(name, tensors[name])) for name in names])


def head_from(tensors: Mapping[str, np.ndarray]) -> tf.keras.Model:
    """A projection head from the tensors of a PyTorch Sequential of linear layers, batch norms and ReLUs.

    ReLUs have no tensors: they are where a number is left out before the next linear layer. A single linear layer may
    stand without a number.

    Raises:
        UserError: it is no such Sequential.
    """
    modules: dict[int, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        match = re.fullmatch(r"(?:(\d+)\.)?(weight|bias|running_mean|running_var)", name)
        if not match:
            raise UserError(
                f"the projection head is no plain row of layers: it has {name}. Import without --keep_head."
            )
        modules.setdefault(int(match[1] or 0), {})[match[2]] = values
    layers: list[HeadLayer] = []
    weights: list[np.ndarray] = []
    last = max(modules)
    for number, module in sorted(modules.items()):
        has_relu = number < last and number + 1 not in modules
        follows_dense = number - 1 in modules and modules[number - 1].get("weight", np.empty(0)).ndim == 2
        if has_relu and number + 2 not in modules:
            raise UserError(
                f"the projection head has unknown layers after number {number}. Import without --keep_head."
            )
        activation = "relu" if has_relu else None
        if "running_mean" in module and follows_dense:
            ones = np.ones_like(module["running_mean"])
            scale, offset = module.get("weight", ones), module.get("bias", 0 * ones)
            weights += [scale, offset, module["running_mean"], module["running_var"]]
            layers[-1] = HeadLayer(layers[-1].units, activation, True, layers[-1].use_bias)
        elif module.get("weight", np.empty(0)).ndim == 2:
            weights += [module["weight"].T, *([module["bias"]] if "bias" in module else [])]
            layers.append(HeadLayer(len(module["weight"]), activation, False, "bias" in module))
        else:
            raise UserError(f"layer {number} of the projection head is unknown. Import without --keep_head.")
    head = build_head(modules[min(modules)]["weight"].shape[1], layers)
    try:
        head.set_weights([_finite("the projection head", values) for values in weights])
    except ValueError as error:
        raise UserError(f"the layers of the projection head do not fit together: {error}") from error
    return head


def _tensors_of(layer: tf.keras.layers.Layer) -> list[str]:
    """PyTorch's names of a layer's weights, in Keras's order."""
    if isinstance(layer, tf.keras.layers.Conv2D):
        return [f"{layer.name}.weight"]
    if isinstance(layer, tf.keras.layers.BatchNormalization):
        return [f"{layer.name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    return []


def _axes_of_keras(values: np.ndarray) -> np.ndarray:
    """(outputs, inputs, height, width) → (height, width, inputs, outputs), as a view."""
    return values.transpose(2, 3, 1, 0) if values.ndim == 4 else values


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    """In float32."""
    values = np.asarray(values).astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{name} holds infinite or undefined numbers: training had diverged, or the file is damaged.")
    return values


def _some(names: Collection[str]) -> str:
    shown = [*names][:_NAMES_SHOWN]
    more = len(names) - len(shown)
    return f"{len(names)}" + (f" ({', '.join(shown)}{f', and {more} more' if more else ''})" if names else "")
