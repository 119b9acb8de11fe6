"""What is refused before anything is computed."""

import dataclasses

import pytest
from PIL import Image

from bssl_tf.config.bssl import BsslSettings
from bssl_tf.config.detection import DetectionConfig
from bssl_tf.config.learning import PretrainingSettings
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.config.training import (
    Config,
    DataSettings,
    MethodSettings,
    OptimizerSettings,
    RunSettings,
    ViewSettings,
    for_dry_run,
)
from bssl_tf.errors import ConfigError
from bssl_tf.training.checks import check_requested
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, Distribution
from bssl_tf.training.run import train

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


@pytest.mark.parametrize(
    "images, parts, remedy",
    [
        (1, 1, "has only 1 image to train on. Give more images."),
        (3, 2, "has only 3 images to train on. Give --teacher_batch_size=2 --batch_size=2, or less, or more images."),
        (7, 8, "has only 7 images to train on. Give more images."),
    ],
)
def test_a_batch_that_is_proposed_is_one_that_is_taken(images, parts, remedy):
    config = dataclasses.replace(PHOTOS, optimizer=OptimizerSettings(micro_batches=parts))
    with pytest.raises(ConfigError) as refusal:
        check_requested(config, 8, images, ONE_DEVICE, ALL)
    assert str(refusal.value).endswith(remedy)


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


def test_a_dry_run_takes_no_larger_batches_than_were_asked_for():
    few = Config(optimizer=OptimizerSettings(batch_size=4), pretraining=PretrainingSettings(teacher_batch_size=6))
    small = for_dry_run(few)
    assert (small.optimizer.batch_size, small.pretraining.teacher_batch_size) == (4, 6)
    assert small.data.max_train_images == 12


def test_a_workdir_among_the_photos_is_refused(tmp_path):
    for number in range(4):
        Image.new("L", (8, 8), 60 * number).save(tmp_path / f"{number}.png")
    data = DataSettings(dataset=f"folder:{tmp_path}", holdout=0.5)
    with pytest.raises(
        ConfigError, match=f"--workdir={tmp_path}/runs/a lies among the photos of .* outside {tmp_path};"
    ):
        train(Config(data=data, run=RunSettings(workdir=f"{tmp_path}/runs/a")))


def test_feature_similarity_without_a_map_takes_equal_widths(tmp_path):
    config = Config(
        data=DataSettings(dataset="digits", max_train_images=600, max_test_images=50),
        student=StudentSettings(student="reactnet_small", student_width=16, student_stages=1),
        teacher=TeacherSettings(teacher="resnet_small", teacher_width=8, teacher_stages=1),
        bssl=BsslSettings(similarity_map="identity"),
        run=RunSettings(workdir=str(tmp_path / "run")),
    )
    with pytest.raises(
        ConfigError, match="--similarity_map=identity .* the student has 32, the teacher 16: use --simi"
    ):
        train(config)
    assert not (tmp_path / "run" / "teacher").exists()


def test_local_crops_that_the_student_cannot_take_are_refused_with_the_smallest_that_it_can(tmp_path):
    config = Config(
        data=DataSettings(image_size=64, max_train_images=32, max_test_images=32),
        views=ViewSettings(local_crops=2),
        student=StudentSettings(student="quicknet_small"),
        method=MethodSettings(method="swav"),
        optimizer=OptimizerSettings(batch_size=16),
        run=RunSettings(workdir=str(tmp_path)),
    )
    with pytest.raises(ConfigError) as refusal:
        train(config)
    assert str(refusal.value) == (
        "--local_crop_size=0 (here 27 pixels, 3/7 of the 64 of an image) is too small for --student=quicknet_small, "
        "which has nothing left of such crops after its strides. Give --local_crop_size=29."
    )
