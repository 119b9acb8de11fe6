"""ReActNet, the binary MobileNet of https://arxiv.org/abs/2003.03488, and small relatives of it.

A block is two binary convolutions, each with a shortcut around it:

    bias → sign → binary 3×3 → batch norm → + shortcut (average pool where the stride is 2) → RPReLU
    bias → sign → binary 1×1 → batch norm → + shortcut                                      → RPReLU

Where channels double there are two 1×1 branches, each with its own shortcut, concatenated before the RPReLU.
"""

import tensorflow as tf

from bssl_tf.models.geometry import stage_channels, stage_stride, stem_stride
from bssl_tf.models.layers import LearnableBias, QuantConv2D, RPReLU
from bssl_tf.models.normalisation import batch_norm
from bssl_tf.models.quantization import Binarisation

REACTNET_A_STEM = 32
REACTNET_A_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""Channels and stride of each block."""


def _binary_convolution(x: tf.Tensor, size: int, stride: int, binarisation: Binarisation) -> tf.Tensor:
    x = QuantConv2D(
        x.shape[-1],
        size,
        strides=stride,
        padding="same",
        kernel_initializer="glorot_normal",  # latent weights start well inside ±1, where gradients pass
        use_bias=False,
        **binarisation.options(),
    )(x)
    return batch_norm()(x)


def _stem(x: tf.Tensor, channels: int) -> tf.Tensor:
    x = tf.keras.layers.Conv2D(
        channels, 3, strides=stem_stride(x), padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return batch_norm()(x)


def _block(x: tf.Tensor, channels: int, stride: int, binarisation: Binarisation) -> tf.Tensor:
    shortcut = tf.keras.layers.AveragePooling2D(2, padding="same")(x) if stride == 2 else x
    x = _binary_convolution(LearnableBias()(x), 3, stride, binarisation)
    x = RPReLU()(tf.keras.layers.Add()([x, shortcut]))

    shortcut, x = x, LearnableBias()(x)
    branches = [
        tf.keras.layers.Add()([_binary_convolution(x, 1, 1, binarisation), shortcut])
        for _ in range(channels // shortcut.shape[-1])
    ]
    return RPReLU()(branches[0] if len(branches) == 1 else tf.keras.layers.Concatenate()(branches))


def reactnet_a(x: tf.Tensor, binarisation: Binarisation) -> tf.Tensor:
    """ReActNet-A.

    Args:
        x: normalised images (None, S, S, C), S at least 32. Under 64 pixels the stem keeps their size.
        binarisation: what is binary.

    Returns:
        Feature map (None, S / 32, S / 32, 1024), of twice that size where the stem keeps it.
    """
    x = _stem(x, REACTNET_A_STEM)
    for channels, stride in REACTNET_A_BLOCKS:
        x = _block(x, channels, stride, binarisation)
    return x


def reactnet_small(x: tf.Tensor, width: int, depth: int, stages: int, binarisation: Binarisation) -> tf.Tensor:
    """A ReActNet for images of 8 to 64 pixels.

    Args:
        x: normalised images (None, S, S, C).
        width: channels of the stem; every stage doubles them.
        depth: blocks a stage; the first one has stride 2 while the feature map has more than 3×3 pixels.
        stages: number of stages.
        binarisation: what is binary.

    Returns:
        Feature map with width · 2^stages channels.
    """
    x = _stem(x, width)
    for channels in stage_channels(width, stages):
        for block in range(depth):
            x = _block(x, channels, stage_stride(x) if block == 0 else 1, binarisation)
    return x
