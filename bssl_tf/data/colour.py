"""Colour operations on batches, each image with its own strength; torchvision's meaning of each.

They work on *planes*: a list of one tensor a channel (one for grey, three for RGB), each float32 of
shape (batch, height, width) in 0..255; so are the results. On a CPU that is several times as fast as
channels in the last axis. Factors and shifts have the shape (batch, 1, 1); with a factor of 1 or a
shift of 0 an image stays what it is.
"""

import tensorflow as tf

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_LEAST = 1e-30


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
    """Multiply by ``factor``."""
    return [_clip(plane * factor) for plane in planes]


def adjust_contrast(planes: list[tf.Tensor], factor: tf.Tensor) -> list[tf.Tensor]:
    """Stretch around the mean luma of each image; a factor of 0 gives that mean."""
    means = [tf.reduce_mean(plane, axis=(1, 2), keepdims=True) for plane in planes]
    offset = luma(means) * (1.0 - factor)
    return [_clip(plane * factor + offset) for plane in planes]


def adjust_saturation(planes: list[tf.Tensor], factor: tf.Tensor) -> list[tf.Tensor]:
    """Stretch around each pixel's luma; a factor of 0 gives a grey image. RGB only."""
    offset = luma(planes) * (1.0 - factor)
    return [_clip(plane * factor + offset) for plane in planes]


def shift_hue(planes: list[tf.Tensor], shift: tf.Tensor) -> list[tf.Tensor]:
    """Turn the hue by ``shift`` of the full circle (-1/2 … 1/2), in HSV. RGB only.

    Hue is measured from red, in sixths of the circle times chroma, so that nothing is divided: 0 … 3 · chroma on the
    side of green, 0 … -3 · chroma on that of blue. A channel's share falls with the distance from its own hue.
    """
    red, green, blue = planes
    value = tf.maximum(tf.maximum(red, green), blue)
    lowest = tf.minimum(tf.minimum(red, green), blue)
    chroma = value - lowest
    from_red = green + blue - red + (chroma - lowest)
    side = tf.sign(green - blue + _LEAST)  # never 0
    hue = side * from_red + (6.0 * shift) * chroma
    third, half, whole = 2.0 * chroma, 3.0 * chroma, 6.0 * chroma
    offset = lowest - chroma

    def plane(from_own_hue):
        nearness = tf.abs(tf.abs(tf.abs(from_own_hue) - whole) - half)  # half the circle less the distance
        return tf.minimum(tf.maximum(nearness + offset, lowest), value)

    return [plane(hue), plane(hue - third), plane(hue + third)]


def _clip(plane: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(plane, 0.0, 255.0)
