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
        images: float32 of shape (batch, height, width, channels).
        sigma: standard deviation in pixels for each image, float32 of shape (batch,), above 0.
        largest_sigma: upper bound of ``sigma``; sets the size of the kernel.

    Returns:
        float32 of the shape of ``images``.
    """
    height, width, channels = images.shape[1:]
    radius = min(math.ceil(3.0 * largest_sigma), height - 1, width - 1)
    offsets = tf.range(-radius, radius + 1, dtype=tf.float32)
    kernels = tf.nn.softmax(-0.5 * tf.square(offsets / sigma[:, tf.newaxis]), axis=-1)
    # One depthwise convolution for the whole batch: every channel of every image is a channel of its own.
    kernels = tf.repeat(tf.transpose(kernels), channels, axis=1)[..., tf.newaxis]
    planes = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (1, height, width, -1))
    planes = tf.pad(planes, ((0, 0), (radius, radius), (radius, radius), (0, 0)), mode="REFLECT")
    for kernel in (kernels[:, tf.newaxis], kernels[tf.newaxis]):
        planes = tf.nn.depthwise_conv2d(planes, kernel, strides=(1, 1, 1, 1), padding="VALID")
    planes = tf.reshape(planes, (height, width, -1, channels))
    return tf.transpose(planes, (2, 0, 1, 3))
