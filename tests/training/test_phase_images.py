"""A phase does not go on with other images than it began with."""

import os

import numpy as np
import pytest
from PIL import Image

from bssl_tf.config.training import DataSettings
from bssl_tf.data import load_source
from bssl_tf.data.sources import folder
from bssl_tf.errors import UserError
from bssl_tf.files import write_json
from bssl_tf.runs import PhaseFolder
from bssl_tf.training.phase_images import ImagesChanged, check_images, note_images


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for number in range(6):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(root / f"{number}.png")
    return root


@pytest.fixture
def phase(tmp_path, photos):
    """Begun with the photos."""
    phase = PhaseFolder(tmp_path / "stage1")
    note_images(phase, images(photos))
    write_json(phase.settings_file, {})
    return phase


def images(root):
    return folder.load(root, "train", holdout=0.001, progress=False)


def test_the_same_images_go_on(phase, photos):
    check_images(phase, images(photos))


def test_images_that_are_gone_are_counted(phase, photos):
    before = images(photos).num_examples
    (photos / images(photos).paths[0]).unlink()
    with pytest.raises(ImagesChanged, match=rf"started with {before} training images, now there are {before - 1}"):
        check_images(phase, images(photos))


def test_a_change_of_one_image_is_noticed_and_can_be_accepted(phase, photos):
    os.utime(photos / images(photos).paths[0], ns=(1, 1))
    with pytest.raises(ImagesChanged, match="names, sizes or times were others.*delete .*images.json"):
        check_images(phase, images(photos))
    phase.images_file.unlink()
    check_images(phase, images(photos))
    note_images(phase, images(photos))
    check_images(phase, images(photos))


def test_a_phase_that_goes_on_keeps_its_note(phase, photos):
    (photos / images(photos).paths[0]).unlink()
    note_images(phase, images(photos))
    with pytest.raises(ImagesChanged):
        check_images(phase, images(photos))


def test_a_phase_that_has_not_begun_takes_any_images(phase, photos):
    phase.settings_file.unlink()
    (photos / images(photos).paths[0]).unlink()
    check_images(phase, images(photos))
    note_images(phase, images(photos))
    write_json(phase.settings_file, {})
    check_images(phase, images(photos))


def test_a_damaged_note_is_named(phase, photos):
    phase.images_file.write_text("null")
    with pytest.raises(UserError, match=r"images\.json must hold names and values"):
        check_images(phase, images(photos))


@pytest.mark.parametrize(
    ("then_mb", "now_mb", "remedy"),
    [
        (1, 0, r"were decoded in memory; now they are streamed.*give --decoded_cache_mb=1, or more"),
        (0, 1, r"were streamed; now they are decoded in memory.*give --decoded_cache_mb=0, to go on"),
    ],
)
def test_another_order_of_tfds_names_the_flag_that_gave_it(tmp_path, data_dir, then_mb, now_mb, remedy):
    def load(decoded_cache_mb, **others):
        settings = DataSettings(
            dataset="tfds:fashion_mnist", data_dir=str(data_dir), decoded_cache_mb=decoded_cache_mb, **others
        )
        return load_source(settings, "train")

    phase = PhaseFolder(tmp_path / "stage1")
    note_images(phase, load(then_mb))
    write_json(phase.settings_file, {})
    check_images(phase, load(then_mb))
    with pytest.raises(ImagesChanged, match=remedy) as refusal:
        check_images(phase, load(now_mb))
    assert "delete" not in str(refusal.value)
    with pytest.raises(ImagesChanged, match="started with 60 training images, now there are 30"):
        check_images(phase, load(now_mb, max_train_images=30))
