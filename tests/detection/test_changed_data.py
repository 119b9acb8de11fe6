"""A detector that was stopped goes on with the images and boxes it began with, and with no others."""

import os
import shutil

import pytest

from bssl_tf.config.detection import (
    RANDOM,
    AnnotatedDataSettings,
    DetectionConfig,
    DetectionRunSettings,
    DetectionTrainingSettings,
    DetectorSettings,
)
from bssl_tf.detection import run as detection_run
from bssl_tf.errors import Interrupted
from bssl_tf.models import BackboneSpec
from bssl_tf.training import memory
from bssl_tf.training.phase_images import ImagesChanged
from bssl_tf.training.phases import SettingsChanged
from tests.detection.scenes import rectangles, write_coco

SPEC = BackboneSpec(name="reactnet_small", image_size=28, channels=1, mean=(60.0,), std=(80.0,), width=16, stages=3)


@pytest.fixture
def photos(tmp_path):
    """24 images in tmp_path/photos/images, and their boxes beside it."""
    return write_coco(tmp_path / "photos", rectangles(24))


@pytest.fixture
def config(tmp_path, photos):
    (tmp_path / "like").mkdir()
    (tmp_path / "like" / "backbone.json").write_text(SPEC.to_json())
    return DetectionConfig(
        data=AnnotatedDataSettings(dataset=photos, image_size=64, channels=1),
        detector=DetectorSettings(RANDOM, str(tmp_path / "like"), neck_channels=32, head_depth=1),
        training=DetectionTrainingSettings(test_dataset=photos, epochs=1, batch_size=8, warmup_epochs=0),
        run=DetectionRunSettings(workdir=str(tmp_path / "run"), log_every=1, export=False, sheet_images=0),
    )


@pytest.fixture
def begin(config, monkeypatch):
    """Call it to begin or to go on, up to the first step; `test_run` shows that steps are gone on with."""

    def stopped(phase, *arguments, **options):
        phase.save_settings()
        raise Interrupted("stopped at step 0")

    monkeypatch.setattr(detection_run, "train_phase", stopped)

    def call():
        with pytest.raises(Interrupted, match="stopped at step 0"):
            detection_run.train_detector(config)

    return call


def test_other_images_or_boxes_are_refused_and_those_of_then_go_on(config, begin, tmp_path):
    begin()
    before = {path.name: path.read_bytes() for path in config.run.folder.iterdir()}
    photo, boxes = tmp_path / "photos" / "images" / "5.png", tmp_path / "photos" / "annotations.json"
    photo.rename(tmp_path / "5.png")
    message = r"with 24 training images, now there are 23\. Restore the images .* or name another --detector_name"
    with pytest.raises(ImagesChanged, match=message):
        detection_run.train_detector(config)
    (tmp_path / "5.png").rename(photo)
    os.utime(photo, ns=(1, photo.stat().st_mtime_ns - 1))
    with pytest.raises(ImagesChanged, match=r"names, sizes or times were others.*delete .*images\.json"):
        detection_run.train_detector(config)
    os.utime(photo, ns=(1, photo.stat().st_mtime_ns + 1))
    shutil.copy2(boxes, tmp_path / "then.json")
    boxes.write_text(boxes.read_text().replace('"bbox": [', '"bbox": [1', 1))
    message = r"(?s)  annotations: its files were others .*saved values and files .* another --detector_name to start"
    with pytest.raises(SettingsChanged, match=message):
        detection_run.train_detector(config)
    assert before == {path.name: path.read_bytes() for path in config.run.folder.iterdir()}
    shutil.copy2(tmp_path / "then.json", boxes)
    begin()


def test_a_disk_without_room_is_warned_of_before_the_first_step(begin, monkeypatch, capsys):
    begin()
    assert "are free in" not in capsys.readouterr().err
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**5))
    begin()
    assert ", and 100 kB are free in" in " ".join(capsys.readouterr().err.split())
