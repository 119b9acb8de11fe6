"""Bicubic, antialiased resizing as two products with a matrix: one from the left for rows, one for columns.

A row of the matrix holds the weights of the input pixels in one output pixel (Keys' cubic kernel, stretched
where the image shrinks, as Pillow and `tf.image.resize(antialias=True)` have it). Of a photo few of them are
not zero: `crop_one` multiplies sparse matrices, which takes less than half the time of TensorFlow's own kernel
(`ScaleAndTranslate`, whose pass over columns is not vectorised). Small images are cropped a batch at a time
with dense matrices (`crop_many`).
"""

import tensorflow as tf

_SUPPORT = 2.0  # the cubic kernel is zero from here on


def crop_one(image: tf.Tensor, top_left: tf.Tensor, size: tf.Tensor, flip: tf.Tensor, out_size: int) -> tf.Tensor:
    """Cut a box out of an image of any size and resize it.

    Args:
        image: (height, width, channels), uint8 or float32.
        top_left: top left corner of the box, float32 of shape (2,), in pixels.
        size: height and width of the box, likewise.
        flip: whether to mirror it left to right, bool scalar.
        out_size: height and width of the result.

    Returns:
        float32 of shape (channels, out_size, out_size), not clipped: planes that lie on their side, columns before
        rows, as the products leave them.
    """
    extent, channels = tf.shape(image)[:2], image.shape[-1]
    first = tf.maximum(tf.cast(top_left, tf.int32) - _margin(size, out_size), 0)
    last = tf.minimum(tf.cast(top_left + size, tf.int32) + 1 + _margin(size, out_size), extent)
    image = tf.cast(image[first[0] : last[0], first[1] : last[1]], tf.float32)
    height, width = tf.unstack(last - first)
    top, left = tf.unstack(top_left - tf.cast(first, tf.float32))
    rows = _product(top, size[0], False, out_size, tf.reshape(image, (height, width * channels)))
    planes = _product(left, size[1], flip, out_size, tf.transpose(rows), channels)
    return tf.reshape(planes, (channels, out_size, out_size))


def crop_many(images: tf.Tensor, top_left: tf.Tensor, size: tf.Tensor, flip: tf.Tensor, out_size: int) -> tf.Tensor:
    """Cut boxes out of small images of one size, the same number of each image, and resize them.

    Args:
        images: (batch, height, width, channels), uint8 or float32.
        top_left: top left corners, float32 of shape (batch, views, 2), in pixels.
        size: heights and widths, likewise.
        flip: whether to mirror left to right, bool of shape (batch, views).
        out_size: height and width of the result.

    Returns:
        float32 of shape (batch, views, out_size, out_size, channels), not clipped.
    """
    _, height, width, channels = images.shape
    rows = _matrix(top_left[..., 0], size[..., 0], tf.zeros_like(flip), out_size, height)
    columns = _matrix(top_left[..., 1], size[..., 1], flip, out_size, width)
    planes = [tf.cast(plane, tf.float32)[:, tf.newaxis] for plane in tf.unstack(images, axis=-1)]
    return tf.stack([tf.matmul(rows @ plane, columns, transpose_b=True) for plane in planes], axis=-1)


def _product(start, length, flip, out_size: int, values: tf.Tensor, channels: int = 1) -> tf.Tensor:
    """The matrix of weights, (out_size, n), times each channel of ``values``, (n · channels, m), channels last.

    Only what is not zero is computed. The result has the channels first: (channels · out_size, m).
    """
    centres, stretch = _centres(start, length, flip, out_size)
    reach = _SUPPORT * stretch
    taps = tf.cast(tf.math.ceil(2.0 * reach), tf.int32)
    first = tf.cast(tf.math.ceil(centres - reach - 0.5), tf.int32)
    inputs = first[:, tf.newaxis] + tf.range(taps)
    count = tf.shape(values)[0] // channels
    weights = _weights(inputs, centres, stretch)
    weights = tf.where((inputs >= 0) & (inputs < count), weights, 0.0)
    weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
    channel = tf.range(channels)[:, tf.newaxis, tf.newaxis]
    inside = tf.clip_by_value(inputs, 0, count - 1) * channels + channel
    outputs = tf.broadcast_to(tf.range(out_size)[:, tf.newaxis] + channel * out_size, tf.shape(inside))
    return tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.reshape(tf.stack([outputs, inside], axis=-1), (-1, 2)),
        a_values=tf.tile(tf.reshape(weights, (-1,)), [channels]),
        a_shape=tf.cast(tf.stack([channels * out_size, channels * count]), tf.int64),
        b=values,
    )


def _matrix(start, length, flip, out_size: int, count: int) -> tf.Tensor:
    """The matrices of weights, dense, of shape (…, out_size, count)."""
    centres, stretch = _centres(start, length, flip, out_size)
    weights = _weights(tf.range(count), centres, stretch)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def _centres(start, length, flip, out_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the centres of the output pixels lie in the input, (…, out_size); how far the kernel is stretched, (…)."""
    steps = tf.range(out_size, dtype=tf.float32) + 0.5
    steps = tf.where(flip[..., tf.newaxis] if isinstance(flip, tf.Tensor) else flip, out_size - steps, steps)
    step = length / out_size
    return start[..., tf.newaxis] + step[..., tf.newaxis] * steps, tf.maximum(step, 1.0)


def _weights(inputs, centres, stretch) -> tf.Tensor:
    """Keys' cubic kernel (a = -1/2) at the distances of the inputs from the centres, not normalised."""
    distance = tf.cast(inputs, tf.float32) + 0.5 - centres[..., tf.newaxis]
    x = tf.abs(distance) / stretch[..., tf.newaxis, tf.newaxis]
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < _SUPPORT, far, 0.0))


def _margin(size: tf.Tensor, out_size: int) -> tf.Tensor:
    """Pixels beyond the box that the kernel reaches."""
    return tf.cast(tf.math.ceil(_SUPPORT * tf.maximum(size / out_size, 1.0)), tf.int32)
