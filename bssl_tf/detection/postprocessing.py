"""From raw outputs to objects: in Keras and in the exported file the same operators.

All of them are built into TensorFlow Lite, non-maximum suppression too (``NON_MAX_SUPPRESSION_V4``), so that the file
gives objects and an app has nothing to decode.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from bssl_tf.detection.model import NUM_EXTRA, SIDES
from bssl_tf.detection.targets import Grid, decode

SCORE_THRESHOLD, IOU_THRESHOLD = 0.05, 0.6
"""Those of FCOS: lesser scores are left out; of two boxes of a class that overlap more, the surer one stays."""
MOST_CANDIDATES, MOST_DETECTIONS = 300, 100
"""Pairs of position and class that go into the suppression (FCOS: 1000); objects that come out at most."""
_LARGEST_LOGARITHM = 6.0  # e^6 strides are wider than any image


class Detections(NamedTuple):
    """Objects of each image, the surest first; rows from ``count`` on have score 0 and no meaning.

    Attributes:
        boxes: (batch, n, 4) float32, (y0, x0, y1, x1) in shares of height and width.
        scores: (batch, n) float32 in 0..1.
        classes: (batch, n) float32, whole numbers.
        count: (batch,) float32, a whole number.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    count: tf.Tensor


def predicted_boxes(grid: Grid, raw: tf.Tensor) -> tf.Tensor:
    """Boxes (…, P, 4) in pixels of raw outputs (…, P, classes + NUM_EXTRA)."""
    sides = raw[..., -NUM_EXTRA : -NUM_EXTRA + SIDES]
    return decode(grid, tf.exp(tf.minimum(sides, _LARGEST_LOGARITHM)))


def detect(grid: Grid, raw: tf.Tensor) -> Detections:
    """The objects of one image.

    A score is the root of the product of class and centreness (FCOS, section 3.3, has the product; the root ranks
    alike and reads as a probability does). Classes do not suppress each other.

    Args:
        grid: the positions.
        raw: (1, P, classes + NUM_EXTRA).
    """
    num_classes = raw.shape[-1] - NUM_EXTRA
    boxes = tf.clip_by_value(predicted_boxes(grid, raw[0]) / grid.image_size, 0.0, 1.0)
    scores = tf.sqrt(tf.sigmoid(raw[0, :, :num_classes]) * tf.sigmoid(raw[0, :, -1:]))
    candidates = min(MOST_CANDIDATES, grid.positions * num_classes)
    best, places = tf.math.top_k(tf.reshape(scores, [-1]), candidates)
    classes = tf.cast(places % num_classes, tf.float32)
    boxes = tf.gather(boxes, places // num_classes)
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes + 2.0 * classes[:, tf.newaxis],  # each class has a plane of its own
        scores=best,
        max_output_size=MOST_DETECTIONS,
        iou_threshold=IOU_THRESHOLD,
        score_threshold=SCORE_THRESHOLD,
        pad_to_max_output_size=True,
    )
    is_object = tf.cast(tf.range(MOST_DETECTIONS) < count, tf.float32)
    return Detections(
        tf.gather(boxes, kept)[tf.newaxis],
        (tf.gather(best, kept) * is_object)[tf.newaxis],
        tf.gather(classes, kept)[tf.newaxis],
        tf.reshape(tf.cast(count, tf.float32), [1]),
    )


def detector_function(model: tf.keras.Model, grid: Grid) -> Callable[[tf.Tensor], Detections]:
    """Pixels (batch, S, S, C) in 0..255, of any type → `Detections` of the batch."""

    @tf.function(autograph=False, reduce_retracing=True)
    def objects_in(pixels: tf.Tensor) -> Detections:
        raw = model(tf.cast(pixels, tf.float32), training=False)
        signature = Detections(*(tf.TensorSpec(None, tf.float32),) * 4)
        each = tf.map_fn(lambda one: detect(grid, one[tf.newaxis]), raw, fn_output_signature=signature)
        shapes = (MOST_DETECTIONS, 4), (MOST_DETECTIONS,), (MOST_DETECTIONS,), ()
        return Detections(*(tf.reshape(part, (-1, *shape)) for part, shape in zip(each, shapes, strict=True)))

    return objects_in
