"""Where the small networks, ReActNet and ResNet alike, halve their feature maps."""

import tensorflow as tf

from bssl_tf.models.choices import SMALL_BELOW


def stem_stride(image: tf.Tensor) -> int:
    """1 for small images, else 2."""
    return 1 if image.shape[1] < SMALL_BELOW else 2


def stage_stride(feature_map: tf.Tensor) -> int:
    """2, until 3×3 pixels or fewer are left."""
    return 2 if feature_map.shape[1] > 3 else 1


def stage_channels(width: int, stages: int) -> list[int]:
    """Channels of each stage after a stem of `width` channels: every stage doubles them."""
    return [width * 2 ** (stage + 1) for stage in range(stages)]
