"""Decodes JPEG images inside TensorFlow, where no thread waits for Python's lock."""

import tensorflow as tf

_RATIOS = (1, 2, 4, 8)  # the fractions of their size at which JPEG images can be decoded


def decode_jpeg(contents: tf.Tensor, channels: int, short_side: int | None = None) -> tf.Tensor:
    """Decode a JPEG image, a large one at a fraction of its size, which saves most of the time.

    Args:
        contents: the encoded bytes, string scalar.
        channels: 1 or 3.
        short_side: decode at 1/8, 1/4 or 1/2 of the size where height and width stay at least this;
            None: at full size.

    Returns:
        uint8 of shape (height, width, channels).
    """
    if short_side is None:
        return tf.io.decode_jpeg(contents, channels=channels)
    full_side = tf.reduce_min(tf.io.extract_jpeg_shape(contents)[:2])
    fits = [full_side >= ratio * short_side for ratio in _RATIOS[1:]]
    branches = [lambda ratio=ratio: tf.io.decode_jpeg(contents, channels=channels, ratio=ratio) for ratio in _RATIOS]
    return tf.switch_case(tf.reduce_sum(tf.cast(fits, tf.int32)), branches)
