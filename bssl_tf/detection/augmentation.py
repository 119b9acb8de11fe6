"""Random windows of annotated images, and the boxes in them: scale jitter, crop, flip. All drawn without a state.

A window is what the network sees of the image, stretched to S×S. It may be smaller than the image (a crop, objects
get larger) or larger (objects get smaller, grey all around). One object of the image, drawn at random, is always
inside as a whole. Of the others what is left of a cut box stays, unless too little is.
"""

import tensorflow as tf

from bssl_tf.config.detection import BoxAugmentationSettings
from bssl_tf.detection.boxes import area, intersection

DRAWS = ("zoom", "aspect", "anchor", "top", "left", "flip")
LEAST_VISIBLE = 0.3
"""Share of a box's area that must be in the window; below, the object is not learned."""
_LOG_ASPECT = 0.2  # height to width of a window, up to a factor of e^0.2


def draw(key: tf.Tensor) -> dict[str, tf.Tensor]:
    """All random numbers of an image: uniform in [0, 1)."""
    return dict(zip(DRAWS, tf.unstack(tf.random.stateless_uniform([len(DRAWS)], key, alg="philox")), strict=True))


def random_window(drawn: dict[str, tf.Tensor], boxes: tf.Tensor, settings: BoxAugmentationSettings) -> tf.Tensor:
    """A window as (y0, x0, y1, x1) in shares of the image; it may reach beyond.

    Args:
        drawn: as from `draw`.
        boxes: (k, 4) in shares of the image; k may be 0.
        settings: how far objects are scaled.
    """
    low, high = tf.math.log(settings.scale_min), tf.math.log(settings.scale_max)
    side = tf.exp(-(low + drawn["zoom"] * (high - low)))  # an object twice as large: a window of half the size
    stretch = tf.exp(_LOG_ASPECT * (drawn["aspect"] - 0.5))
    size = tf.stack([side * stretch, side / stretch])
    count = tf.shape(boxes)[0]
    index = tf.minimum(tf.cast(drawn["anchor"] * tf.cast(count, tf.float32), tf.int32), count - 1)
    nothing = tf.constant([0.5, 0.5, 0.5, 0.5])
    anchor = tf.cond(count > 0, lambda: boxes[index], lambda: nothing)
    size = tf.maximum(size, anchor[2:] - anchor[:2])
    # The corner: inside the image if the window is, around it if not, and such that the anchor is inside.
    low = tf.maximum(tf.minimum(0.0, 1.0 - size), anchor[2:] - size)
    high = tf.minimum(tf.maximum(0.0, 1.0 - size), anchor[:2])
    corner = low + tf.stack([drawn["top"], drawn["left"]]) * tf.maximum(high - low, 0.0)
    return tf.concat([corner, corner + size], axis=0)


def boxes_in_window(boxes: tf.Tensor, window: tf.Tensor, flip: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes as the window shows them, mirrored left to right where ``flip``, and which of them are still objects.

    Args:
        boxes: (k, 4) in shares of the image.
        window: (4,) likewise.
        flip: bool scalar.

    Returns:
        (k, 4) in shares of the window, cut at its edge; (k,) bool.
    """
    visible = intersection(boxes, window[tf.newaxis]) >= LEAST_VISIBLE * area(boxes)
    size = tf.tile(window[2:] - window[:2], [2])
    moved = tf.clip_by_value((boxes - tf.tile(window[:2], [2])) / size, 0.0, 1.0)
    top, left, bottom, right = tf.unstack(moved, axis=-1)
    mirrored = tf.stack([top, 1.0 - right, bottom, 1.0 - left], axis=-1)
    return tf.where(flip, mirrored, moved), visible & (area(moved) > 0.0)


def image_in_window(image: tf.Tensor, window: tf.Tensor, flip: tf.Tensor, size: int) -> tf.Tensor:
    """The window of the image, resized (bilinear, antialiased); its mean grey where the window is outside.

    Args:
        image: (height, width, channels) uint8.
        window: (4,) in shares of the image.
        flip: bool scalar.
        size: S.

    Returns:
        uint8 (S, S, channels).
    """
    extent = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = size / ((window[2:] - window[:2]) * extent)
    pixels = tf.cast(image, tf.float32)
    mean = tf.reduce_mean(pixels, axis=(0, 1))
    placed = tf.raw_ops.ScaleAndTranslate(  # 0 where there is no image
        images=(pixels - mean)[tf.newaxis],
        size=[size, size],
        scale=scale,
        translation=-window[:2] * extent * scale,
        kernel_type="triangle",
        antialias=True,
    )[0]
    placed = tf.where(flip, placed[:, ::-1], placed)
    return tf.ensure_shape(tf.saturate_cast(tf.round(placed + mean), tf.uint8), (size, size, image.shape[-1]))


WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The window that is the image: what is seen in evaluation and on the phone."""
