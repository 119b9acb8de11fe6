import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bssl_tf.data.sources.base import DataError
from bssl_tf.data.sources.prepare_fashion_mnist import FILES, prepare, read_idx


def test_registered_builder_reads_what_was_prepared(idx_folder, data_dir):
    dataset, info = tfds.load("fashion_mnist", data_dir=data_dir, download=False, with_info=True)
    assert {name: split.num_examples for name, split in info.splits.items()} == {"train": 60, "test": 20}
    assert info.features["label"].names[9] == "Ankle boot" and str(info.version) == "3.0.1"
    for split, (image_file, label_file) in FILES.items():
        images, labels = read_idx(idx_folder / image_file), read_idx(idx_folder / label_file)
        expected = sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))
        examples = dataset[split].as_numpy_iterator()
        read = sorted((example["image"].tobytes(), int(example["label"])) for example in examples)
        assert read == expected


@pytest.fixture
def copied_folder(idx_folder, tmp_path):
    return shutil.copytree(idx_folder, tmp_path / "copy")


def test_missing_file_is_named(copied_folder, tmp_path):
    (copied_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="--source=.* lacks t10k-labels-idx1-ubyte.gz"):
        prepare(copied_folder, tmp_path / "tfds")


@pytest.mark.parametrize("damage", [lambda c: c[:1000], lambda c: c[:10] + b"\xff" * 100 + c[110:]])
def test_broken_file_is_named(copied_folder, tmp_path, damage):
    path = copied_folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz is not a gzipped IDX file"):
        prepare(copied_folder, tmp_path / "tfds")


def test_images_and_labels_that_do_not_match(copied_folder, tmp_path):
    shutil.copy(copied_folder / "t10k-labels-idx1-ubyte.gz", copied_folder / "train-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match="has 60 images, but .* has 20 labels"):
        prepare(copied_folder, tmp_path / "tfds")


def test_idx_values(idx_folder):
    labels = read_idx(idx_folder / "train-labels-idx1-ubyte.gz")
    np.testing.assert_array_equal(labels, np.arange(60) % 10)
