"""The whole job on rectangles: training, interruption and resume, scores, file, sheet."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.detection import (
    AnnotatedDataSettings,
    DetectionConfig,
    DetectionRunSettings,
    DetectionTrainingSettings,
    DetectorSettings,
)
from bssl_tf.deploy.metadata import read_metadata
from bssl_tf.detection import results
from bssl_tf.detection import run as detection_run
from bssl_tf.detection.backbones import starting_backbone, starting_spec
from bssl_tf.detection.method import Detection
from bssl_tf.detection.model import DetectorSpec, build_detector, load_detector
from bssl_tf.detection.tflite import OUTPUTS, TfliteDetector
from bssl_tf.errors import ConfigError, Interrupted, UserError
from bssl_tf.evaluation.protocols.classifier_training import learning_rate_multipliers
from bssl_tf.locks import InUse, alone, lock_in
from bssl_tf.models import BackboneSpec, build_backbone, save_backbone
from bssl_tf.training.checkpoints import PhaseCheckpoint
from bssl_tf.training.phases import SettingsChanged
from tests.detection.scenes import rectangles

SPEC = BackboneSpec(name="reactnet_small", image_size=28, channels=1, mean=(60.0,), std=(80.0,), width=32, stages=3)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A pretrained run in tmp_path/run; the data are rectangles."""
    tf.keras.utils.set_random_seed(0)
    save_backbone(build_backbone(SPEC), SPEC, tmp_path / "run" / "stage2")
    data = {"train": rectangles(48), "test": rectangles(16, seed=1)}
    monkeypatch.setattr(detection_run, "load_annotated", lambda settings, split, *rest: data[split])
    return DetectionConfig(
        data=AnnotatedDataSettings(dataset="tfds:rectangles"),
        detector=DetectorSettings(neck_channels=32, head_depth=1),
        training=DetectionTrainingSettings(epochs=2, batch_size=16, warmup_epochs=0, learning_rate=0.003),
        run=DetectionRunSettings(workdir=str(tmp_path / "run"), log_every=1, sheet_images=4),
    )


def changed(config, group: str, **values):
    return dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **values)})


class StopsEarly(tf.keras.callbacks.Callback):
    """Sends the process SIGTERM after step 4."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == 4:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_detector_is_trained_scored_and_exported_and_goes_on_where_it_was_interrupted(config, monkeypatch):
    result = detection_run.train_detector(config, command=["bssl-detect", "--workdir=caf\udce9"])  # no UTF-8
    folder = config.run.folder
    for name in ("detector_spec.json", "summary.json", "metrics.csv", "curves.png", "sheet.png", "scores.md"):
        assert (folder / name).exists()
    assert result["parity"]["raw_outputs"]["agreeing"] > 0.5
    assert abs(result["parity"]["AP_difference"]) <= 0.002
    assert json.loads((folder / "scores.json").read_text()) == json.loads(json.dumps(result))
    file = TfliteDetector(folder / "detector.tflite")
    assert [output.name for output in file.report.outputs] == list(OUTPUTS)
    assert "NON_MAX_SUPPRESSION_V4" in file.report.operators
    found = file(np.zeros((2, 64, 64, 1), np.uint8))
    assert found.boxes.shape == (2, 100, 4) and found.count.shape == (2,)
    content = (folder / "detector.tflite").read_bytes()
    assert b"top, left, bottom and right" in content and b"a score for each label" not in content
    facts = read_metadata(content)
    assert facts.provenance["class_names"] == ["upright", "lying"]
    before = (folder / "scores.json").stat().st_mtime_ns
    detection_run.train_detector(config, command=["bssl-detect"])  # all is there
    assert (folder / "scores.json").stat().st_mtime_ns == before
    made = (folder / "detector.tflite").stat().st_mtime_ns
    detection_run.train_detector(changed(config, "run", export=False, sheet_images=0))
    assert (folder / "scores.json").stat().st_mtime_ns == before
    sheet = (folder / "sheet.png").read_bytes()
    smaller = detection_run.train_detector(changed(config, "run", sheet_images=1))
    assert (folder / "sheet.png").read_bytes() != sheet
    assert (folder / "detector.tflite").stat().st_mtime_ns == made  # is not made again
    assert smaller["tflite"] == json.loads(json.dumps(result["tflite"]))
    assert "file, LCE" in (folder / "scores.md").read_text()
    with monkeypatch.context() as patched:
        patched.setattr(detection_run, "load_annotated", lambda *rest: rectangles(3, seed=1))
        with pytest.raises(ConfigError, match="3 test images are too few .* it takes 4 .*--test_dataset.*--noexport"):
            detection_run.train_detector(config)
    with pytest.raises(SettingsChanged, match="--epochs: saved 2, now 4"):
        detection_run.train_detector(changed(config, "training", epochs=4))
    scores_of_keras = json.loads((folder / "scores.json").read_text())["keras"]
    with monkeypatch.context() as patched:  # what a failed export leaves
        (folder / "scores.json").unlink()

        def fails(*arguments):
            raise UserError("The file reaches another AP.")

        patched.setattr(results, "export_detector", fails)
        with pytest.raises(UserError, match="another AP"):
            detection_run.train_detector(config)
    kept = json.loads((folder / "scores.json").read_text())
    assert kept["keras"] == scores_of_keras and "tflite" not in kept
    with monkeypatch.context() as patched:
        other = dataclasses.replace(rectangles(16, seed=1).annotations, class_names=("lying", "upright"))
        test = dataclasses.replace(rectangles(16, seed=1), annotations=other)
        patched.setattr(detection_run, "load_annotated", lambda settings, split, *rest: test)
        with pytest.raises(ConfigError, match="training and test images have other classes: upright, lying; lying"):
            detection_run.train_detector(config)
    for broken in ("{", "[]", '{"key": {}, "keras": 3}', '{"key": {}, "keras": {}, "tflite": {}, "parity": {}}'):
        (folder / "scores.json").write_text(broken)
        with pytest.raises(
            UserError, match=r"scores.json.*: delete it, and the same command scores the detector again"
        ):
            detection_run.train_detector(config)
    (folder / ".scores.json.ab12cd34.tmp").write_text("a killed process left this")
    with alone(lock_in(folder), "this", ""), pytest.raises(InUse, match="--detector_name=detector is in use since"):
        detection_run.train_detector(config)
    assert (folder / ".scores.json.ab12cd34.tmp").exists()

    again = changed(config, "run", export=False, sheet_images=0, detector_name="again")
    train_phase = detection_run.train_phase
    monkeypatch.setattr(detection_run, "train_phase", lambda *a, **k: train_phase(*a, callbacks=(StopsEarly(),), **k))
    with pytest.raises(Interrupted, match="stopped at step 4"):
        detection_run.train_detector(again)
    monkeypatch.setattr(detection_run, "train_phase", train_phase)
    detection_run.train_detector(again)
    whole, resumed = (load_detector(run.run.folder)[0].model.get_weights() for run in (config, again))
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_detector_of_16_bit_training_is_scored_in_32_bits(config):
    config = changed(config, "run", export=False, sheet_images=0)
    config = changed(config, "training", precision="mixed_bfloat16", epochs=1)
    detection_run.train_detector(config)
    assert tf.keras.mixed_precision.global_policy().name == "float32"
    detector, facts = load_detector(config.run.folder)
    assert facts["settings"]["precision"] == "mixed_bfloat16"
    assert {weight.dtype for weight in detector.model.weights} == {tf.float32}
    with pytest.raises(SettingsChanged, match="--precision: saved 'mixed_bfloat16', now 'float32'"):
        detection_run.train_detector(changed(config, "training", precision="float32"))


def test_two_devices_compute_what_one_does():
    command = [sys.executable, "-m", "tests.detection.mirrored_program"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for what, deviation in json.loads(done.stdout.splitlines()[-1]).items():
        assert deviation < 1e-5, what


@pytest.mark.parametrize("layers", ["head", "layerwise"])
def test_what_of_the_backbone_is_trained(layers, tmp_path):
    spec = dataclasses.replace(SPEC, image_size=32)
    backbone = build_backbone(spec)
    detector = build_detector(DetectorSpec(spec, ("a", "b"), 32, 1), backbone)
    multipliers = learning_rate_multipliers(backbone, 0.01) if layers == "layerwise" else None
    method = Detection(detector, train_backbone=layers != "head", multipliers=multipliers)
    method.compile(tf.keras.optimizers.Adam(0.01), run_eagerly=True)
    saved = PhaseCheckpoint(tmp_path, method, minutes=1.0).bytes
    weights = 4 * detector.model.count_params()
    assert 0.99 * (3 * saved + weights) < detection_run._disk_needed(method, "adam") <= 3 * saved + weights
    before = {layer.name: layer.get_weights() for layer in detector.model.layers}
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1)), tf.uint8)
    boxes = tf.constant([[[4.0, 4.0, 20.0, 20.0]]] * 4)
    method.train_step(((images,), boxes, tf.constant([[0]] * 4, tf.int64)))
    moved = {
        name: float(np.abs(old[0] - detector.model.get_layer(name).get_weights()[0]).max())
        for name, old in before.items()
        if "conv" in name or name == "head0"
    }
    names = [layer.name for layer in backbone.layers if layer.name in moved]
    assert moved["head0"] > 0
    if layers == "head":
        assert {moved[name] for name in names} == {0.0}
        norms = [layer for layer in backbone.layers if "normalization" in layer.name]
        assert all((a == b).all() for norm in norms for a, b in zip(before[norm.name], norm.get_weights(), strict=True))
    else:  # Adam's first step is the learning rate, whatever the gradient
        assert moved[names[0]] == pytest.approx(0.01 * 0.01, rel=0.05)
        assert moved[names[0]] < moved[names[-1]] <= 0.0101


def test_settings_that_cannot_work_are_refused_before_any_compute(config, tmp_path):
    cases = {
        "--workdir is not set": changed(config, "run", workdir=""),
        "holds no backbone": changed(config, "detector", backbone=str(tmp_path)),
        "--random_like=x is for --backbone=random": changed(config, "detector", random_like="x"),
        "--warmup_epochs=2 leaves none": changed(config, "training", warmup_epochs=2),
        "--dataset is not set: give tfds:NAME or coco": changed(config, "data", dataset=""),
        "single folder name": changed(config, "run", detector_name="a/b"),
        "--test_dataset=coco:a,b is for --dataset=coco": changed(config, "training", test_dataset="coco:a,b"),
        "has no effect with adam": changed(config, "training", weight_decay=0.1),
        "--distribution=mirrored cannot train --finetune_layers=layerwise": changed(
            config, "training", distribution="mirrored", finetune_layers="layerwise"
        ),
        "needs at least two GPUs": changed(config, "training", distribution="mirrored"),
        "choose one of head, whole, layerwise": changed(config, "training", finetune_layers="all"),
    }
    for message, case in cases.items():
        with pytest.raises(ConfigError, match=message):
            detection_run.train_detector(case)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a/", "/", "../run"])
def test_a_name_that_is_no_folder_of_the_workdir_is_refused_and_nothing_is_deleted(config, name):
    with pytest.raises(ConfigError, match=f"--detector_name={name}: give a single folder name"):
        detection_run.train_detector(changed(config, "run", detector_name=name, dry_run=True))
    assert (Path(config.run.workdir) / "stage2" / "backbone.json").exists()


@pytest.mark.parametrize("name", ["teacher", "stage1", "Stage2", "features", "evaluation", "dry_run", "config.json"])
def test_a_name_of_the_run_itself_is_refused(config, name):
    with pytest.raises(ConfigError, match=f"--detector_name={name} is a name that the run itself uses"):
        detection_run.train_detector(changed(config, "run", detector_name=name))


def test_other_annotations_or_another_test_set_are_another_training(config, tmp_path):
    (tmp_path / "train.json").write_text("{}")
    folder = tmp_path / "run" / "stage2"

    def settings(**training):
        coco = changed(config, "data", dataset=f"coco:{tmp_path}/train.json,{tmp_path}", holdout=0.2)
        return detection_run._phase(changed(coco, "training", **training), folder).settings

    before = settings()
    assert before["holdout"] == 0.2 and settings(test_dataset="coco:a,b")["holdout"] == 0.0
    (tmp_path / "train.json").write_text('{"images": []}')
    assert settings()["annotations_fingerprint"] != before["annotations_fingerprint"]
    assert detection_run._phase(config, folder).settings["holdout"] == 0.0  # tfds: has splits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--holdout=0.2"], "--holdout=0.2 does nothing here: it is for --dataset=coco"),
        (["--decoded_cache_mb=1"], "--decoded_cache_mb=1 does nothing here: it is for bssl-train"),
        (["--layerwise_lr_decay=0.5"], "it is for --finetune_layers=layerwise"),
        (["--noexport", "--input_type=float32"], "--input_type=float32 does nothing here: it is for the file"),
        (["--dataset=coco:a,b", "--test_dataset=coco:c,d", "--holdout=0.2"], "it is for coco: data without"),
        (["--dataset=coco:a,b", "--train_split=x"], "--train_split=x does nothing here: it is for --dataset=tfds"),
    ],
)
def test_flags_without_effect_are_refused(arguments, message):
    command = [sys.executable, "-m", "bssl_tf.cli.detect", "--workdir=x", "--dataset=tfds:x", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and message in done.stderr, done.stderr


def test_a_random_backbone_needs_its_description_only(tmp_path):
    (tmp_path / "backbone.json").write_text(SPEC.to_json())
    spec = starting_spec(tmp_path, 64, 1, is_random=True)
    assert starting_backbone(tmp_path, spec, is_random=True).input_shape == (None, 64, 64, 1)
    with pytest.raises(FileNotFoundError, match="backbone.weights.h5 is missing"):
        starting_spec(tmp_path, 64, 1, is_random=False)
