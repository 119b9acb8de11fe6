import contextlib

import numpy as np
import pytest
from PIL import Image

from bssl_tf.config.training import DataSettings
from bssl_tf.data import check_is_outside, load_source, resolve_image
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.base import DataError
from bssl_tf.errors import ConfigError


def source_of(*shape):
    return ArraySource("blank", np.zeros((2, *shape), np.uint8))


def test_digits_with_limits():
    settings = DataSettings(dataset="digits", max_train_images=30, max_test_images=20)
    assert load_source(settings, "train").num_examples == 30
    assert load_source(settings, "test").num_examples == 20


def test_tfds(data_dir):
    settings = DataSettings(
        dataset="tfds:fashion_mnist", data_dir=str(data_dir), train_split="train[:50%]", max_test_images=5
    )
    assert load_source(settings, "train").num_examples == 30
    assert load_source(settings, "test").num_examples == 5
    unknown = DataSettings(dataset="tfds:fashion_mnist", data_dir=str(data_dir), test_split="nope")
    with pytest.raises(DataError, match="--test_split=nope"):
        load_source(unknown, "test")


@pytest.mark.parametrize("limit_mb, in_memory", [(0, False), (1, True)])
def test_images_of_tfds_are_decoded_into_memory_up_to_the_limit(data_dir, limit_mb, in_memory):
    settings = DataSettings(dataset="tfds:fashion_mnist", data_dir=str(data_dir), decoded_cache_mb=limit_mb)
    for split in ("train", "test"):
        assert isinstance(load_source(settings, split), ArraySource) == in_memory


@pytest.mark.parametrize(
    "splits, written, refused",
    [
        ((), "photos/runs/a", True),
        ((), "photos", True),
        ((), "photos2/runs", False),
        ((), "photos/../runs", False),
        (("train", "val"), "photos/runs", False),  # beside given splits nothing is read
        (("train", "val"), "photos/val/runs", True),
        (("train",), "photos/runs", True),
    ],
)
def test_a_folder_that_is_written_to_lies_outside_the_photos(tmp_path, splits, written, refused):
    photos = tmp_path / "photos"
    for name in ("cats", *splits):
        (photos / name).mkdir(parents=True)
    settings = DataSettings(dataset=f"folder:{photos}")
    expected = pytest.raises(ConfigError, match="--workdir=.* lies among the photos of --dataset=folder:.*moved")
    with expected if refused else contextlib.nullcontext():
        check_is_outside(settings, tmp_path / written, "--workdir")
    check_is_outside(DataSettings(dataset="digits"), tmp_path / written, "--workdir")


def test_folder_remembers_its_check(tmp_path):
    for number in range(20):
        path = tmp_path / "images" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(path)
    settings = DataSettings(dataset=f"folder:{tmp_path / 'images'}", holdout=0.5)
    train, test = (load_source(settings, split, tmp_path / "workdir") for split in ("train", "test"))
    assert train.num_examples + test.num_examples == 20
    assert len(list((tmp_path / "workdir").glob("folder_scan_*.json"))) == 1


@pytest.mark.parametrize("dataset", ["mnist", "", "folder:", "tfds:", "tfds", "digits:x", "Folder:/tmp"])
def test_unknown_data_set(dataset):
    expected = f"--dataset={dataset} is unknown. Known are digits, tfds:NAME.*folder:PATH"
    with pytest.raises(DataError, match=expected):
        load_source(DataSettings(dataset=dataset), "train")


@pytest.mark.parametrize(
    "shape, settings, expected",
    [
        ((28, 28, 1), DataSettings(), (28, 1)),
        ((64, 64, 3), DataSettings(), (64, 3)),
        ((65, 65, 3), DataSettings(), (224, 3)),
        ((32, 48, 3), DataSettings(), (224, 3)),
        ((28, 28, 1), DataSettings(image_size=32, channels=3), (32, 3)),
    ],
)
def test_size_and_channels(shape, settings, expected):
    assert resolve_image(settings, source_of(*shape)) == expected


def test_images_with_other_channels_are_refused():
    with pytest.raises(DataError, match="images of 4 channels"):
        resolve_image(DataSettings(), source_of(8, 8, 4))
