"""Bicubic, antialiased resizing as two products with a matrix: one from the left for rows, one for columns.

A row of the matrix holds the weights of the input pixels in one output pixel (Keys' cubic kernel, stretched
where the image shrinks, as Pillow and `tf.image.resize(antialias=True)` have it). Of a photo few of them are
not zero: `crop_each` multiplies sparse matrices, which takes less than half the time of TensorFlow's own kernel
(`ScaleAndTranslate`, whose pass over columns is not vectorised). Small images are cropped a batch at a time
with dense matrices (`crop_many`).
"""

import tensorflow as tf

_SUPPORT = 2.0  # the cubic kernel is zero from here on


def crop_each(
    image: tf.Tensor, top_left: tf.Tensor, size: tf.Tensor, flip: tf.Tensor, out_size: int
) -> list[tf.Tensor]:
    """Cut boxes out of an image of any size and resize them.

    Args:
        image: (height, width, channels), uint8 or float32.
        top_left: top left corners of the boxes, float32 of shape (views, 2), in pixels.
        size: heights and widths of the boxes, likewise.
        flip: whether to mirror left to right, bool of shape (views,).
        out_size: height and width of the results.

    Returns:
        One crop a box, float32 of shape (out_size, channels, out_size), not clipped: it lies on its side (columns,
        channels, rows), as the products leave it; see `set_upright`.
    """
    extent, channels = tf.shape(image)[:2], image.shape[-1]
    flips = tf.stack([tf.zeros_like(flip), flip], axis=-1)
    centres, stretch = _centres(top_left, size, flips, out_size)
    taps = tf.cast(tf.math.ceil(2.0 * _SUPPORT * stretch), tf.int32)
    first = tf.cast(tf.math.ceil(centres - _SUPPORT * stretch[..., tf.newaxis] - 0.5), tf.int32)
    inputs = first[..., tf.newaxis] + tf.range(tf.reduce_max(taps))  # (views, 2, out_size, taps)
    is_inside = (inputs >= 0) & (inputs < extent[:, tf.newaxis, tf.newaxis])
    weights = tf.where(is_inside, _weights(inputs, centres, stretch), 0.0)
    weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
    begin = tf.maximum(tf.reduce_min(first, axis=-1), 0)  # of what the boxes are made of
    end = tf.minimum(tf.reduce_max(first, axis=-1) + taps, extent)
    counts = end - begin
    inputs = tf.clip_by_value(inputs - begin[..., tf.newaxis, tf.newaxis], 0, counts[..., tf.newaxis, tf.newaxis] - 1)
    outputs = tf.broadcast_to(tf.range(out_size)[:, tf.newaxis], tf.shape(inputs))
    indices = tf.stack([outputs, inputs], axis=-1)

    def product(view: int, axis: int, values: tf.Tensor) -> tf.Tensor:
        used = taps[view, axis]
        return tf.raw_ops.SparseTensorDenseMatMul(
            a_indices=tf.reshape(indices[view, axis, :, :used], (-1, 2)),
            a_values=tf.reshape(weights[view, axis, :, :used], (-1,)),
            a_shape=tf.cast(tf.stack([out_size, counts[view, axis]]), tf.int64),
            b=tf.reshape(values, (counts[view, axis], -1)),
        )

    crops = []
    for view in range(flip.shape[0]):
        (top, left), (bottom, right) = tf.unstack(begin[view]), tf.unstack(end[view])
        rows = product(view, 0, tf.cast(image[top:bottom, left:right], tf.float32))
        columns = product(view, 1, tf.transpose(rows))
        crops.append(tf.reshape(columns, (out_size, channels, out_size)))
    return crops


def set_upright(crop: tf.Tensor) -> tf.Tensor:
    """(columns, channels, rows) → (rows, columns, channels)."""
    columns, channels, rows = crop.shape
    return tf.reshape(tf.transpose(tf.reshape(crop, (columns * channels, rows))), (rows, columns, channels))


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
    _, height, width, _ = images.shape
    rows = _matrix(top_left[..., 0], size[..., 0], tf.zeros_like(flip), out_size, height)
    columns = _matrix(top_left[..., 1], size[..., 1], flip, out_size, width)
    planes = [tf.cast(plane, tf.float32)[:, tf.newaxis] for plane in tf.unstack(images, axis=-1)]
    return tf.stack([tf.matmul(rows @ plane, columns, transpose_b=True) for plane in planes], axis=-1)


def _matrix(start: tf.Tensor, length: tf.Tensor, flip: tf.Tensor, out_size: int, count: int) -> tf.Tensor:
    """The matrices of weights, dense, of shape (…, out_size, count)."""
    centres, stretch = _centres(start, length, flip, out_size)
    weights = _weights(tf.range(count), centres, stretch)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def _centres(start: tf.Tensor, length: tf.Tensor, flip: tf.Tensor, out_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the centres of the output pixels lie in the input, (…, out_size); how far the kernel is stretched, (…)."""
    steps = tf.range(out_size, dtype=tf.float32) + 0.5
    steps = tf.where(flip[..., tf.newaxis] if isinstance(flip, tf.Tensor) else flip, out_size - steps, steps)
    step = length / out_size
    return start[..., tf.newaxis] + step[..., tf.newaxis] * steps, tf.maximum(step, 1.0)


def _weights(inputs: tf.Tensor, centres: tf.Tensor, stretch: tf.Tensor) -> tf.Tensor:
    """Keys' cubic kernel (a = -1/2) at the distances of the inputs from the centres, not normalised."""
    distance = tf.cast(inputs, tf.float32) + 0.5 - centres[..., tf.newaxis]
    x = tf.abs(distance) / stretch[..., tf.newaxis, tf.newaxis]
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < _SUPPORT, far, 0.0))
