"""Arithmetic of boxes (y0, x0, y1, x1)."""

import tensorflow as tf

_SMALLEST = 1e-7  # keeps quotients finite where both areas are 0


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Areas (…) of boxes (…, 4); 0 of a box whose corners are swapped."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def intersection(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Areas (…) that two sets of boxes (…, 4) share, pair by pair; the shapes may broadcast."""
    corners = tf.maximum(first[..., :2], second[..., :2]), tf.minimum(first[..., 2:], second[..., 2:])
    return area(tf.concat(corners, axis=-1))


def iou(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Intersection over union (…) of two sets of boxes (…, 4), pair by pair."""
    shared = intersection(first, second)
    return shared / tf.maximum(area(first) + area(second) - shared, _SMALLEST)


def generalised_iou(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """IoU minus the share of the smallest enclosing box that neither covers (https://arxiv.org/abs/1902.09630).

    Args:
        first: (…, 4).
        second: (…, 4), pair by pair.

    Returns:
        (…) in [-1, 1]; below 0 for boxes far apart, so that these have a gradient, too.
    """
    shared = intersection(first, second)
    union = area(first) + area(second) - shared
    corners = tf.minimum(first[..., :2], second[..., :2]), tf.maximum(first[..., 2:], second[..., 2:])
    enclosing = tf.maximum(area(tf.concat(corners, axis=-1)), _SMALLEST)
    return shared / tf.maximum(union, _SMALLEST) - (enclosing - union) / enclosing
