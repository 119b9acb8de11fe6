"""Windows move boxes with their pixels, keep what they must, and depend on (seed, step) alone."""

import numpy as np
import tensorflow as tf

from bssl_tf.config.detection import BoxAugmentationSettings
from bssl_tf.detection.augmentation import boxes_in_window, draw, image_in_window, random_window
from bssl_tf.detection.batches import PADDING, evaluation_batches, training_batches
from tests.detection.scenes import SIZE, rectangles

STRONG = BoxAugmentationSettings(scale_min=0.5, scale_max=2.0)


def batches(data, start_step=0, seed=0):
    made = training_batches(
        data, image_size=32, channels=1, augmentation=STRONG, seed=seed, batch_size=4, epochs=3, start_step=start_step
    )
    return [tuple(part.numpy() for part in (images, boxes, classes)) for (images,), boxes, classes in made]


def test_a_resumed_run_sees_the_batches_that_the_whole_run_sees():
    data = rectangles(10)
    whole, resumed, other = batches(data), batches(data, start_step=3), batches(data, seed=1)
    assert len(whole) == 6 and len(resumed) == 3
    for a, b in zip(whole[3:], resumed, strict=True):
        for part, same in zip(a, b, strict=True):
            np.testing.assert_array_equal(part, same)
    assert any((a[0] != b[0]).any() for a, b in zip(whole, other, strict=True))


def test_boxes_stay_on_their_pixels():
    """A box drawn into the image before the window is the box of the bright pixels behind it."""
    keys = tf.random.split(tf.constant([1, 2], tf.int64), 40, alg="philox")
    for key in keys:
        image = np.zeros((40, 60, 1), np.uint8)
        image[10:26, 20:44] = 200
        box = tf.constant([[10 / 40, 20 / 60, 26 / 40, 44 / 60]])
        drawn = draw(key)
        window, flip = random_window(drawn, box, STRONG), drawn["flip"] < 0.5
        (moved,), (kept,) = boxes_in_window(box, window, flip)
        assert bool(kept)
        seen = image_in_window(tf.constant(image), window, flip, 64).numpy()[..., 0]
        bright = seen > 125
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        found = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
        np.testing.assert_allclose(moved.numpy() * 64, found, atol=1.2)


def test_one_object_is_always_inside_and_the_scale_is_in_its_bounds():
    random, scales = np.random.default_rng(0), []
    for number in range(60):
        corners = np.sort(random.uniform(0, 1, (3, 2, 2)), axis=1).reshape(3, 4).astype(np.float32)
        window = random_window(draw(tf.constant([number, 7], tf.int64)), tf.constant(corners), STRONG).numpy()
        inside = (corners[:, :2] >= window[:2] - 1e-5).all(1) & (corners[:, 2:] <= window[2:] + 1e-5).all(1)
        assert inside.any()
        scales.append(1 / np.sqrt(np.prod(window[2:] - window[:2])))
    assert 0.49 < min(scales) < 0.7 and max(scales) < 2.01


def test_an_object_that_is_mostly_outside_is_not_learned():
    window = tf.constant([0.0, 0.0, 0.5, 0.5])
    boxes = tf.constant([[0.1, 0.1, 0.4, 0.4], [0.0, 0.45, 0.4, 0.9], [0.6, 0.6, 0.9, 0.9]])
    moved, kept = boxes_in_window(boxes, window, tf.constant(False))
    assert kept.numpy().tolist() == [True, False, False]
    np.testing.assert_allclose(moved[0], [0.2, 0.2, 0.8, 0.8], atol=1e-6)


def test_images_without_objects_are_part_of_the_batches_and_nothing_is_padded_with_a_class():
    data = rectangles(40)
    made = batches(data)
    counts = np.concatenate([(classes != PADDING).sum(1) for _, _, classes in made])
    assert (counts == 0).any() and (counts > 1).any()
    for _, boxes, classes in made:
        assert (boxes[classes == PADDING] == 0).all()
        assert (boxes[classes != PADDING][:, 2:] > boxes[classes != PADDING][:, :2]).all()


def test_evaluation_shows_every_image_whole():
    data = rectangles(9)
    seen = np.concatenate([batch.numpy() for batch in evaluation_batches(data, image_size=SIZE, channels=1)])
    np.testing.assert_array_equal(seen, data.source.decode(tf.range(9)))
