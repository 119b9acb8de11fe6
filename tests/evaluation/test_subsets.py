import json

import numpy as np
import pytest

from bssl_tf.data.sources import digits
from bssl_tf.evaluation.subsets import balanced_subset, file_name, per_class_subset, saved_subset


def labels_of(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("amount, count", [("1%", 10), ("10%", 100), ("137", 137), ("2.5%", 25)])
def test_subsets_have_as_many_of_each_class_as_divides(amount, count):
    labels = labels_of([250] * 4)
    chosen = balanced_subset(labels, amount, seed=3)
    per_class = np.bincount(labels[chosen], minlength=4)
    assert len(chosen) == len(set(chosen)) == count and per_class.max() - per_class.min() <= 1
    assert (np.diff(chosen) > 0).all()


def test_what_a_rare_class_lacks_the_others_give():
    labels = labels_of([500, 300, 5])
    assert np.bincount(labels[balanced_subset(labels, "60", seed=0)]).tolist() in ([28, 27, 5], [27, 28, 5])
    assert np.bincount(labels[balanced_subset(labels, "805", seed=0)]).tolist() == [500, 300, 5]
    assert np.bincount(labels[balanced_subset(labels, "700", seed=0)]).tolist() == [395, 300, 5]


def test_all_labels_are_all_images():
    labels = labels_of([7, 3])
    assert balanced_subset(labels, "100%", seed=5).tolist() == list(range(10))


def test_subsets_are_reproducible_differ_by_seed_and_grow():
    labels = labels_of([100] * 10)
    small, large = (balanced_subset(labels, amount, seed=1) for amount in ("2%", "20%"))
    assert small.tolist() == balanced_subset(labels, "2%", seed=1).tolist()
    assert small.tolist() != balanced_subset(labels, "2%", seed=2).tolist()
    assert set(small) <= set(large)


def test_subsets_hold_no_test_image():
    train, test = digits.load("train"), digits.load("test")
    pixels = {source: source.decode(np.arange(source.num_examples)).numpy() for source in (train, test)}
    seen_in_test = {image.tobytes() for image in pixels[test]}
    chosen = balanced_subset(train.labels, "10%", seed=0)
    assert len(chosen) == 144 and not any(pixels[train][place].tobytes() in seen_in_test for place in chosen)


def test_a_subset_is_saved_and_read_again(tmp_path):
    labels = labels_of([50] * 3)
    chosen = saved_subset(tmp_path, "tfds:x", "these images", labels, "10%", 4)
    (file,) = tmp_path.iterdir()
    saved = json.loads(file.read_text())
    assert saved["places"] == chosen.tolist() == balanced_subset(labels, "10%", 4).tolist()
    file.write_text(json.dumps(saved | {"places": [1, 2, 3]}))
    assert saved_subset(tmp_path, "tfds:x", "these images", labels, "10%", 4).tolist() == [1, 2, 3]
    assert saved_subset(tmp_path, "tfds:x", "other images", labels, "10%", 4).tolist() == chosen.tolist()


def test_shots_are_so_many_of_each_class():
    labels = labels_of([40, 9, 20])
    assert np.bincount(labels[per_class_subset(labels, 9, seed=0)]).tolist() == [9, 9, 9]
    with pytest.raises(ValueError, match="class 1 has 9. Give shots up to 9"):
        per_class_subset(labels, 10, seed=0)


@pytest.mark.parametrize(
    "amount, message",
    [("1%", "1% is 1 of 120 training images, fewer than the 3 classes"), ("121", "but there are 120"), ("2", "fewer")],
)
def test_too_few_or_too_many_are_refused(amount, message):
    with pytest.raises(ValueError, match=message):
        balanced_subset(labels_of([40] * 3), amount, seed=0)


def test_file_names_hold_no_special_characters():
    assert file_name("tfds:Fashion_MNIST 10%") == "tfds-fashion-mnist-10pct"
