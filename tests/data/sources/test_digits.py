import numpy as np

from bssl_tf.data.sources import digits


def test_split_is_fixed_stratified_and_complete():
    train, test = digits.load("train"), digits.load("test")
    assert (train.num_examples, test.num_examples) == (1437, 360)
    assert np.bincount(test.labels).min() >= 34 and np.bincount(test.labels).max() <= 38
    np.testing.assert_array_equal(train.labels, digits.load("train").labels)


def test_pixels_use_the_whole_range():
    source = digits.load("test")
    images = np.stack([source.decode(example["record"]) for example in source.examples().take(50)])
    assert images.shape == (50, 8, 8, 1) and images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)


def test_limit_takes_the_first():
    np.testing.assert_array_equal(digits.load("train", 10).labels, digits.load("train").labels[:10])
