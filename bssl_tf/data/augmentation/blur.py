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
        largest_sigma: upper bound of ``sigma``; sets the size of the kernel.

    Returns:
        float32 of the shape of ``images``.
    """
    _, channels, height, width = images.shape
    radius = min(math.ceil(3.0 * largest_sigma), height - 1, width - 1)
    kernels = tf.repeat(_weights(sigma, radius), channels, axis=1)[..., tf.newaxis]
    # One depthwise convolution for the whole batch: every channel of every image is a channel of its own.
    planes = tf.reshape(tf.transpose(images, (2, 3, 0, 1)), (1, height, width, -1))
    planes = tf.pad(planes, ((0, 0), (radius, radius), (radius, radius), (0, 0)), mode="REFLECT")
    for kernel in (kernels[:, tf.newaxis], kernels[tf.newaxis]):
        planes = tf.nn.depthwise_conv2d(planes, kernel, strides=(1, 1, 1, 1), padding="VALID")
    return tf.transpose(tf.reshape(planes, (height, width, -1, channels)), (2, 3, 0, 1))


def blur_and_set_upright(image: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """`gaussian_blur` of a single image as two products with a sparse matrix: on a CPU in half the time.

    Args:
        image: on its side, float32 of shape (size, channels, size): columns, channels, rows.
        sigma: float32 scalar, above 0.

    Returns:
        float32 of shape (size, size, channels), upright.
    """
    size, channels, _ = image.shape
    radius = tf.minimum(tf.cast(tf.math.ceil(3.0 * sigma), tf.int32), size - 1)
    outputs = tf.range(size)[:, tf.newaxis]
    inputs = tf.abs(outputs + tf.range(-radius, radius + 1))
    inputs = size - 1 - tf.abs(size - 1 - inputs)  # reflected at both borders
    indices = tf.stack([tf.broadcast_to(outputs, tf.shape(inputs)), inputs], axis=-1)
    matrix = dict(
        a_indices=tf.reshape(indices, (-1, 2)),
        a_values=tf.tile(tf.reshape(_weights(sigma[tf.newaxis], radius), (-1,)), [size]),
        a_shape=tf.constant([size, size], tf.int64),
    )
    columns = tf.raw_ops.SparseTensorDenseMatMul(**matrix, b=tf.reshape(image, (size, channels * size)))
    rows = tf.transpose(tf.reshape(columns, (size * channels, size)))
    return tf.reshape(tf.raw_ops.SparseTensorDenseMatMul(**matrix, b=rows), (size, size, channels))


def _weights(sigma: tf.Tensor, radius: tf.Tensor) -> tf.Tensor:
    """A Gaussian for each σ of ``sigma`` (n,), zero beyond 3σ: (2 · radius + 1, n)."""
    offsets = tf.cast(tf.range(-radius, radius + 1), tf.float32)[:, tf.newaxis]
    is_near = tf.abs(offsets) <= tf.math.ceil(3.0 * sigma)
    return tf.nn.softmax(tf.where(is_near, -0.5 * tf.square(offsets / sigma), -math.inf), axis=0)
