"""Composed scenes: boxes are tight, garments come from their split, the seed decides all, TFDS reads them."""

import gzip

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bssl_tf.data import DataError
from bssl_tf.data.sources import prepare_fashion_mnist, prepare_scenes
from bssl_tf.data.sources.prepare_scenes import CANVAS, LARGEST_OVERLAP, OBJECTS, SIZES, compose


def garments(count, brightness):
    """Solid rectangles on black, of many shapes, all of one brightness."""
    random = np.random.default_rng(0)
    images = np.zeros((count, 28, 28), np.uint8)
    for image in images:
        height, width = random.integers(8, 27, 2)
        image[1 : 1 + height, 1 : 1 + width] = brightness
    return images, np.arange(count) % 10


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, brightness in (("train", 255), ("test", 160)):
        images, labels = garments(30, brightness)
        for name, array in zip(prepare_fashion_mnist.FILES[split], (images, labels), strict=True):
            (folder / name).write_bytes(idx(array))
    prepare_fashion_mnist.prepare(folder, folder)
    prepare_scenes.prepare(folder, train_scenes=6, test_scenes=4, seed=0)
    return folder


def test_boxes_are_those_of_the_pixels_and_overlap_little():
    images, labels = garments(30, 255)
    sizes, counts = [], []
    for seed in range(40):
        canvas, boxes, classes = compose(images, labels, np.random.default_rng(seed))
        assert canvas.shape == (CANVAS, CANVAS) and len(boxes) == len(classes) >= 1
        counts.append(len(boxes))
        assert boxes.min() >= 0 and boxes.max() <= CANVAS
        for number, box in enumerate(boxes):
            top, left, bottom, right = box.astype(int)
            sizes.append(max(bottom - top, right - left))
            if number == len(boxes) - 1:  # nothing lies over the last one
                assert (canvas[top + 2 : bottom - 2, left + 2 : right - 2] == 255).all()
            for other in boxes[:number]:
                height, width = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
                smaller = min(np.prod(each[2:] - each[:2]) for each in (box, other))
                assert max(height, 0) * max(width, 0) <= LARGEST_OVERLAP * smaller
    assert min(sizes) >= SIZES[0] and max(sizes) <= SIZES[1]
    assert min(counts) == OBJECTS[0] and max(counts) >= OBJECTS[1] - 1


def test_tfds_reads_them_and_test_scenes_are_made_of_test_garments(data_dir):
    splits = {split: list(tfds.as_numpy(tfds.load("fashion_scenes", split=split, data_dir=str(data_dir))))
              for split in ("train", "test")}  # fmt: skip
    assert {split: len(scenes) for split, scenes in splits.items()} == {"train": 6, "test": 4}
    for split, brightest in (("train", 255), ("test", 160)):
        for scene in splits[split]:
            assert scene["image"].shape == (CANVAS, CANVAS, 1) and scene["image"].max() == brightest
            assert sorted(set(scene["objects"]["label"])) == sorted(scene["labels"])
            assert len(scene["objects"]["bbox"]) >= 1


def test_what_is_prepared_is_kept_and_other_settings_are_refused(data_dir):
    again = prepare_scenes.prepare(data_dir, train_scenes=6, test_scenes=4, seed=0)
    assert again.info.splits["train"].num_examples == 6
    with pytest.raises(DataError, match="other settings"):
        prepare_scenes.prepare(data_dir, train_scenes=6, test_scenes=4, seed=1)


def test_without_fashion_mnist_there_are_no_scenes(tmp_path):
    with pytest.raises(DataError, match="prepare_fashion_mnist"):
        prepare_scenes.prepare(tmp_path, train_scenes=1, test_scenes=1, seed=0)
