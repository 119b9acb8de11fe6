"""The part of an image that networks see where nothing is random, and its colours."""

import tensorflow as tf


def to_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """A uint8 image (height, width, 1 or 3) with the given number of channels."""
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return tf.image.grayscale_to_rgb(image)
    return tf.image.rgb_to_grayscale(image)


def short_side_of(image_size: int) -> int:
    """To what a larger image's short side is shrunk before its middle is taken: 256 for 224."""
    return round(image_size * 256 / 224)


def centre(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """The uint8 image (height, width, C) as `evaluation_images` shows it: (image_size, image_size, C)."""
    if image.shape[:2] == (image_size, image_size):
        return image
    extent = tf.cast(tf.shape(image)[:2], tf.float32)
    short_side = tf.reduce_min(extent)
    target = tf.where(short_side > image_size, float(short_side_of(image_size)), float(image_size))
    scale = target / short_side
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=[image_size, image_size],
        scale=tf.fill([2], scale),
        translation=(image_size - extent * scale) / 2.0,
        kernel_type="keyscubic",
        antialias=True,
    )[0]
    resized = tf.saturate_cast(tf.round(resized), tf.uint8)
    is_exact = tf.reduce_all(tf.equal(tf.shape(image)[:2], image_size))
    exact = tf.cond(is_exact, lambda: image, lambda: resized)
    return tf.ensure_shape(exact, (image_size, image_size, image.shape[-1]))
