"""What is refused before anything is computed."""

import dataclasses

import pytest

from bssl_tf.config.training import Config, DataSettings, RunSettings
from bssl_tf.errors import ConfigError
from bssl_tf.training.checks import check_requested
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE

PHOTOS = Config(data=DataSettings(dataset="folder:photos"))


def test_all_batches_larger_than_the_data_are_named_at_once():
    with pytest.raises(ConfigError) as refusal:
        check_requested(PHOTOS, 8, 58, ONE_DEVICE)
    assert str(refusal.value) == (
        "--teacher_batch_size=256 and --batch_size=256: --dataset=folder:photos has only 58 images to train on. Give "
        "--teacher_batch_size=58 --batch_size=58, or less, or more images."
    )
    check_requested(PHOTOS, 8, 256, ONE_DEVICE)


def test_the_teachers_batch_counts_only_where_one_is_trained():
    with pytest.raises(ConfigError, match="^--batch_size=256: "):
        check_requested(dataclasses.replace(PHOTOS, run=RunSettings(task="student")), 8, 58, ONE_DEVICE)
    with pytest.raises(ConfigError, match="^--teacher_batch_size=256: "):
        check_requested(dataclasses.replace(PHOTOS, run=RunSettings(task="teacher")), 8, 58, ONE_DEVICE)
