"""What is refused before anything is computed."""

import dataclasses

import pytest

from bssl_tf.config.detection import DetectionConfig
from bssl_tf.config.training import Config, DataSettings, MethodSettings, OptimizerSettings, RunSettings, for_dry_run
from bssl_tf.errors import ConfigError
from bssl_tf.training.checks import check_requested
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, Distribution

PHOTOS = Config(data=DataSettings(dataset="folder:photos"))
ALL = ("teacher", "stage1", "stage2")


class Three(Distribution):
    replicas = 3


def test_all_batches_larger_than_the_data_are_named_at_once():
    with pytest.raises(ConfigError) as refusal:
        check_requested(PHOTOS, 8, 58, ONE_DEVICE, ALL)
    assert str(refusal.value) == (
        "--teacher_batch_size=256 and --batch_size=256: --dataset=folder:photos has only 58 images to train on. Give "
        "--teacher_batch_size=58 --batch_size=58, or less, or more images."
    )
    check_requested(PHOTOS, 8, 256, ONE_DEVICE, ALL)


def test_the_teachers_batch_counts_only_where_one_is_trained():
    with pytest.raises(ConfigError, match="^--batch_size=256: "):
        check_requested(dataclasses.replace(PHOTOS, run=RunSettings(task="student")), 8, 58, ONE_DEVICE, ALL)
    with pytest.raises(ConfigError, match="^--teacher_batch_size=256: "):
        check_requested(dataclasses.replace(PHOTOS, run=RunSettings(task="teacher")), 8, 58, ONE_DEVICE, ALL)


def test_a_finished_teachers_batch_does_not_count():
    with pytest.raises(ConfigError, match="^--batch_size=256: "):
        check_requested(PHOTOS, 8, 58, ONE_DEVICE, ("stage1", "stage2"))


def test_a_dry_run_refuses_the_requested_batch_that_cannot_be_shared_out():
    with pytest.raises(ConfigError, match="^--teacher_batch_size=256 is that of all 3 devices.* for instance 258"):
        check_requested(PHOTOS, 8, 1000, Three(), ALL)
    parts = OptimizerSettings(batch_size=256, micro_batches=2)
    simclr = dataclasses.replace(PHOTOS, method=MethodSettings(method="simclr"), optimizer=parts)
    with pytest.raises(ConfigError, match="^--batch_size=256 is .* each with --micro_batches=2, .* multiple of 6"):
        check_requested(simclr, 8, 1000, Three(), ALL)


@pytest.mark.parametrize("micro_batches", [1, 3, 8])
@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 5, 6, 7, 24])
def test_batches_of_a_dry_run_can_be_shared_out(replicas, micro_batches):
    small = for_dry_run(Config(optimizer=OptimizerSettings(micro_batches=micro_batches)), replicas)
    parts = replicas * small.optimizer.micro_batches
    assert small.optimizer.batch_size % parts == 0 and small.pretraining.teacher_batch_size % replicas == 0
    assert small.optimizer.batch_size < 16 + parts
    assert small.data.max_train_images >= 2 * max(small.optimizer.batch_size, small.pretraining.teacher_batch_size)
    detector = DetectionConfig().for_dry_run(replicas)
    assert detector.training.batch_size % replicas == 0
    assert detector.data.max_train_images == 2 * detector.training.batch_size
    if parts in (1, 2, 4, 8, 16):
        assert (small.optimizer.batch_size, small.data.max_train_images) == (16, 32)
