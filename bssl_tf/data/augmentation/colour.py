"""Colour operations on batches, each image with its own strength; torchvision's meaning of each.

They work on *planes*: a list of one tensor a channel (one for grey, three for RGB), each float32 of
shape (batch, height, width) in 0..255; so are the results. On a CPU that is several times as fast as
channels in the last axis. Factors and shifts have the shape (batch, 1, 1); with a factor of 1 or a
shift of 0 an image stays what it is.
"""

import math

import tensorflow as tf

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114


def split_planes(images: tf.Tensor) -> list[tf.Tensor]:
    """(batch, height, width, channels) → planes."""
    return tf.unstack(tf.transpose(images, (3, 0, 1, 2)))


def join_planes(planes: list[tf.Tensor]) -> tf.Tensor:
    """Planes → (batch, height, width, channels)."""
    return tf.transpose(tf.stack(planes), (1, 2, 3, 0))


def luma(planes: list[tf.Tensor]) -> tf.Tensor:
    """Brightness as the eye sees it (ITU-R 601), of shape (batch, height, width)."""
    if len(planes) == 1:
        return planes[0]
    red, green, blue = planes
    return _RED * red + _GREEN * green + _BLUE * blue


def adjust_brightness(planes: list[tf.Tensor], factor: tf.Tensor) -> list[tf.Tensor]:
    """Multiply by ``factor``, which is not negative."""
    return [tf.minimum(plane * factor, 255.0) for plane in planes]


def adjust_contrast(planes: list[tf.Tensor], factor: tf.Tensor) -> list[tf.Tensor]:
    """Stretch around the mean luma of each image; a factor of 0 gives that mean."""
    means = [tf.reduce_mean(plane, axis=(1, 2), keepdims=True) for plane in planes]
    offset = luma(means) * (1.0 - factor)
    return [_clip(plane * factor + offset) for plane in planes]


def adjust_saturation(planes: list[tf.Tensor], factor: tf.Tensor) -> list[tf.Tensor]:
    """Stretch around each pixel's luma; a factor of 0 gives a grey image. RGB only."""
    offset = luma(planes) * (1.0 - factor)
    return [_clip(plane * factor + offset) for plane in planes]


def shift_hue(planes: list[tf.Tensor], shift: tf.Tensor, largest: float = 0.5) -> list[tf.Tensor]:
    """Turn the hue by ``shift`` of the full circle, in HSV. RGB only.

    The largest and the smallest of a pixel's three values stay what they are. Over the hue a channel rises from the one
    to the other within a sixth of the circle, stays for two sixths, falls again, stays again. So a sixth is the most
    that one step may turn: then a channel moves along its slope, up or down by which of the other two is larger.

    Args:
        planes: see above.
        shift: see above, in -1/2 … 1/2.
        largest: upper bound of its size.
    """
    steps = math.ceil(6.0 * largest)
    for _ in range(steps):
        planes = _shift_hue_by_sixths(planes, (6.0 / steps) * shift)
    return planes


def _shift_hue_by_sixths(planes: list[tf.Tensor], shift: tf.Tensor) -> list[tf.Tensor]:
    red, green, blue = planes
    larger, smaller = tf.maximum(red, green), tf.minimum(red, green)
    value, lowest = tf.maximum(larger, blue), tf.minimum(smaller, blue)
    middle = tf.maximum(smaller, tf.minimum(larger, blue))
    change = shift * (value - lowest)

    def plane(own: float, before: float, after: float) -> tf.Tensor:
        slope = own + own - middle  # its own value where it is the middle one, beyond the limits elsewhere
        return tf.minimum(tf.maximum(slope + change * tf.sign(before - after), lowest), value)

    return [plane(red, blue, green), plane(green, red, blue), plane(blue, green, red)]


def _clip(plane: tf.Tensor) -> tf.Tensor:
    return tf.minimum(tf.maximum(plane, 0.0), 255.0)
