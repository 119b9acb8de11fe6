"""Float residual networks, the teachers: https://arxiv.org/abs/1512.03385, version 1.5.

In version 1.5 the 3×3 convolution of a bottleneck carries the stride. Padding is the same on all four sides,
as in PyTorch, whose public weights (MoCo, SwAV, DINO, …) so fit after a transposition.
"""

import tensorflow as tf

from bssl_tf.models.choices import RESNET_BLOCKS, STEM_BY_SIZE, has_large_stem
from bssl_tf.models.geometry import stage_channels, stage_stride, stem_stride
from bssl_tf.models.normalisation import batch_norm

_EXPANSION = 4


def _convolution(x: tf.Tensor, channels: int, size: int, stride: int, name: str, norm: str) -> tf.Tensor:
    """Convolution and batch norm; explicit padding, where "same" with a stride would pad unevenly."""
    padding = "same"
    if stride > 1 and size > 1:
        x, padding = tf.keras.layers.ZeroPadding2D(size // 2)(x), "valid"
    x = tf.keras.layers.Conv2D(
        channels, size, strides=stride, padding=padding, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    return batch_norm(name=norm)(x)


def _numbered(x: tf.Tensor, block: str, number: int, channels: int, size: int, stride: int = 1) -> tf.Tensor:
    return _convolution(x, channels, size, stride, f"{block}.conv{number}", f"{block}.bn{number}")


def _relu(x: tf.Tensor) -> tf.Tensor:
    return tf.keras.layers.ReLU()(x)


def _add_shortcut(x: tf.Tensor, block_input: tf.Tensor, stride: int, name: str) -> tf.Tensor:
    if stride > 1 or x.shape[-1] != block_input.shape[-1]:
        shortcut = f"{name}.downsample"
        block_input = _convolution(block_input, x.shape[-1], 1, stride, f"{shortcut}.0", f"{shortcut}.1")
    return _relu(tf.keras.layers.Add()([x, block_input]))


def _basic_block(block_input: tf.Tensor, channels: int, stride: int, name: str) -> tf.Tensor:
    x = _relu(_numbered(block_input, name, 1, channels, 3, stride))
    x = _numbered(x, name, 2, channels, 3)
    return _add_shortcut(x, block_input, stride, name)


def _bottleneck(block_input: tf.Tensor, channels: int, stride: int, name: str) -> tf.Tensor:
    x = _relu(_numbered(block_input, name, 1, channels, 1))
    x = _relu(_numbered(x, name, 2, channels, 3, stride))
    x = _numbered(x, name, 3, channels * _EXPANSION, 1)
    return _add_shortcut(x, block_input, stride, name)


def resnet(x: tf.Tensor, name: str, stem: str = STEM_BY_SIZE) -> tf.Tensor:
    """ResNet-18, -34 or -50.

    Layers with weights are named as torchvision's modules, "layer1.0.conv1" for instance, so that public weights find
    their place by name (see `bssl_tf.models.pytorch_import.convert`).

    Args:
        x: normalised images (None, S, S, C).
        name: a key of `RESNET_BLOCKS`.
        stem: one of `choices.STEMS`.

    Returns:
        Feature map with 512 channels, 2048 for ResNet-50.
    """
    if has_large_stem(x.shape[1], stem):
        x = _relu(_convolution(x, 64, 7, 2, "conv1", "bn1"))
        x = tf.keras.layers.ZeroPadding2D(1)(x)  # zeros cannot win: nothing is negative after a ReLU
        x = tf.keras.layers.MaxPooling2D(3, strides=2)(x)
    else:
        x = _relu(_convolution(x, 64, 3, 1, "conv1", "bn1"))
    block = _bottleneck if name == "resnet50" else _basic_block
    for stage, blocks in enumerate(RESNET_BLOCKS[name]):
        for index in range(blocks):
            stride = 2 if stage > 0 and index == 0 else 1
            x = block(x, 64 * 2**stage, stride, f"layer{stage + 1}.{index}")
    return x


def resnet_small(x: tf.Tensor, width: int, depth: int, stages: int) -> tf.Tensor:
    """A ResNet of basic blocks for images of 8 to 64 pixels, laid out as `reactnet_small`.

    Args:
        x: normalised images (None, S, S, C).
        width: channels of the stem; every stage doubles them.
        depth: blocks a stage; the first one has stride 2 while the feature map has more than 3×3 pixels.
        stages: number of stages.

    Returns:
        Feature map with width · 2^stages channels.
    """
    x = _relu(_convolution(x, width, 3, stem_stride(x), "conv1", "bn1"))
    for stage, channels in enumerate(stage_channels(width, stages)):
        for block in range(depth):
            x = _basic_block(x, channels, stage_stride(x) if block == 0 else 1, f"layer{stage + 1}.{block}")
    return x
