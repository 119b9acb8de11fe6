"""Boxes, losses and targets against naive versions in plain Python."""

import math

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.detection.boxes import generalised_iou, iou
from bssl_tf.detection.losses import focal_loss, giou_loss
from bssl_tf.detection.targets import Grid, assign, decode, encode


def random_boxes(count: int, size: float, random) -> np.ndarray:
    corners = np.sort(random.uniform(0, size, (count, 2, 2)), axis=1)
    return corners.reshape(count, 4).astype(np.float32)


def naive_giou(a, b) -> tuple[float, float]:
    def size(box):
        return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)

    shared = size([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    hull = size([min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])])
    union = size(a) + size(b) - shared
    return shared / union, shared / union - (hull - union) / hull


def test_iou_and_giou_are_those_of_the_naive_version():
    random = np.random.default_rng(0)
    first, second = random_boxes(200, 10, random), random_boxes(200, 10, random)
    expected = np.array([naive_giou(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True)])
    np.testing.assert_allclose(iou(first, second), expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(generalised_iou(first, second), expected[:, 1], atol=1e-5)
    np.testing.assert_allclose(giou_loss(tf.constant(first), tf.constant(second)), 1 - expected[:, 1], atol=1e-5)


def test_giou_loss_is_0_of_equal_boxes_and_pulls_boxes_that_do_not_touch():
    box, far = tf.constant([[0.0, 0.0, 2.0, 2.0]]), tf.Variable([[6.0, 6.0, 8.0, 8.0]])
    assert float(giou_loss(box, box)[0]) == pytest.approx(0, abs=1e-6)
    with tf.GradientTape() as tape:
        loss = giou_loss(box, far)
    assert 1 < float(loss[0]) < 2
    assert (tape.gradient(loss, far).numpy()[0, :2] > 0).all()  # descent moves the corner toward the box


def test_focal_loss_is_that_of_the_naive_version():
    random = np.random.default_rng(0)
    labels, logits = random.integers(0, 2, (5, 7)), random.normal(0, 3, (5, 7)).astype(np.float32)

    def naive(label, logit):
        p = 1 / (1 + math.exp(-logit))
        p_t, alpha_t = (p, 0.25) if label else (1 - p, 0.75)
        return -alpha_t * (1 - p_t) ** 2 * math.log(p_t)

    expected = [[naive(*pair) for pair in zip(*rows, strict=True)] for rows in zip(labels, logits, strict=False)]
    np.testing.assert_allclose(focal_loss(tf.constant(labels), tf.constant(logits)), expected, rtol=1e-4, atol=1e-6)


def test_losses_refuse_shapes_that_differ():
    with pytest.raises(ValueError, match="one shape"):
        focal_loss(tf.zeros((2, 3)), tf.zeros((3, 2)))
    with pytest.raises(ValueError, match="4"):
        giou_loss(tf.zeros((2, 3)), tf.zeros((2, 3)))


def naive_assignment(grid: Grid, boxes, classes):
    """FCOS's rules, position by position."""
    bounds = [0, *(4 * stride for stride in grid.strides[:-1]), math.inf]
    result = []
    for level, (stride, size) in enumerate(zip(grid.strides, grid.sizes, strict=True)):
        for row in range(size):
            for column in range(size):
                y, x = (row + 0.5) * stride, (column + 0.5) * stride
                best = None
                for box, label in zip(boxes, classes, strict=True):
                    if label < 0:
                        continue
                    top, left, bottom, right = y - box[0], x - box[1], box[2] - y, box[3] - x
                    centred = max(abs(y - (box[0] + box[2]) / 2), abs(x - (box[1] + box[3]) / 2)) < 1.5 * stride
                    far, size_of = max(top, left, bottom, right), (box[2] - box[0]) * (box[3] - box[1])
                    inside = min(top, left, bottom, right) > 0 and bounds[level] < far <= bounds[level + 1]
                    if inside and centred and (best is None or size_of < best[0]):
                        across = min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)
                        best = size_of, label, box, math.sqrt(across)
                result.append(best)
    return result


def test_assignment_is_that_of_the_naive_version():
    random, grid = np.random.default_rng(3), Grid(64, (8, 16, 32))
    boxes = np.stack([random_boxes(6, 64, random) for _ in range(8)])
    classes = random.integers(-1, 4, (8, 6))
    targets = assign(grid, tf.constant(boxes), tf.constant(classes, tf.int64))
    positives = 0
    for image in range(8):
        naive = naive_assignment(grid, boxes[image].tolist(), classes[image].tolist())
        assert len(naive) == grid.positions
        for place, expected in enumerate(naive):
            assert int(targets.classes[image, place]) == (-1 if expected is None else expected[1])
            if expected is not None:
                positives += 1
                np.testing.assert_allclose(targets.boxes[image, place], expected[2], rtol=1e-6)
                assert float(targets.centreness[image, place]) == pytest.approx(expected[3], abs=1e-5)
    assert positives > 40


def test_decoding_inverts_encoding():
    grid = Grid(64, (8, 16))
    boxes = random_boxes(grid.positions, 64, np.random.default_rng(1))
    np.testing.assert_allclose(decode(grid, encode(grid, tf.constant(boxes))), boxes, atol=1e-4)
