"""Gaussian blur of a batch of images, each with a width of its own."""

import math

import tensorflow as tf

_VISIBLE_SIGMA = 0.3  # at σ = 0.3 a neighbouring pixel weighs 0.4 % of the pixel itself


def is_visible(sigma: float) -> bool:
    """Whether a blur of ``sigma`` pixels changes an image enough to be worth computing."""
    return sigma >= _VISIBLE_SIGMA


def gaussian_blur(images: tf.Tensor, sigma: tf.Tensor, largest_sigma: float) -> tf.Tensor:
    """Blur with a separable Gaussian cut off at three standard deviations; borders are reflected.

    Args:
        images: float32 of shape (batch, channels, height, width).
        sigma: standard deviation in pixels for each image, float32 of shape (batch,), above 0.
        largest_sigma: upper bound of ``sigma``.

    Returns:
        float32 of the shape of ``images``.
    """
    largest_radius = math.ceil(3.0 * largest_sigma)
    reaches = tf.minimum(tf.math.ceil(3.0 * sigma), largest_radius)
    if images.shape[0] == 1:  # no wider a kernel than needed; for batches a fixed one, which an accelerator can plan
        largest_radius = tf.cast(reaches[0], tf.int32)
    rows = _blur_rows(tf.transpose(images, (2, 0, 1, 3)), sigma, reaches, largest_radius)
    columns = _blur_rows(tf.transpose(rows, (3, 1, 2, 0)), sigma, reaches, largest_radius)
    return tf.transpose(columns, (1, 2, 3, 0))


def _blur_rows(rows: tf.Tensor, sigma: tf.Tensor, reaches: tf.Tensor, largest_radius) -> tf.Tensor:
    """Blur (height, batch, channels, width) along its first axis, as one depthwise convolution of all the others."""
    height, _, channels, width = rows.shape
    radius = tf.minimum(largest_radius, height - 1)
    offsets = tf.range(-radius, radius + 1)[:, tf.newaxis]
    offsets = tf.cast(offsets, tf.float32)
    logits = tf.where(tf.abs(offsets) <= reaches, -0.5 * tf.square(offsets / sigma), -math.inf)
    kernels = tf.repeat(tf.nn.softmax(logits, axis=0), channels * width, axis=1)
    lines = tf.reshape(rows, (1, height, 1, -1))
    lines = tf.pad(lines, ((0, 0), (radius, radius), (0, 0), (0, 0)), mode="REFLECT")
    kernels = kernels[:, tf.newaxis, :, tf.newaxis]
    lines = tf.nn.depthwise_conv2d(lines, kernels, strides=(1, 1, 1, 1), padding="VALID")
    return tf.reshape(lines, (height, -1, channels, width))
