import dataclasses
import subprocess
import sys
from pathlib import Path

import larq as lq
import pytest
import tensorflow as tf

from bssl_tf.config.flags import config_from_recipe
from bssl_tf.detection.model import DETECTOR_FILE, DetectorSpec
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import write_json
from bssl_tf.models import BackboneSpec, build_backbone, save_backbone

ROOT = Path(__file__).parents[2]


def lint(*arguments):
    command = [sys.executable, "convert.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_recipe_is_linted_without_its_data():
    done = lint(f"--lint={ROOT / 'flags' / 'photos.cfg'}")
    assert done.returncode == 0 and "Deployability of quicknet_small, 96×96×3 pixels" in done.stdout, done.stderr


def test_a_bad_model_exits_with_one(tmp_path):
    conv = lq.layers.QuantConv2D(20, 3, input_quantizer="ste_sign", kernel_quantizer="ste_sign", name="narrow")
    tf.keras.Sequential([tf.keras.layers.InputLayer((8, 8, 16)), conv]).save(tmp_path / "bad.h5")
    done = lint(f"--lint={tmp_path / 'bad.h5'}")
    assert done.returncode == 1 and "narrow (QuantConv2D 3×3)" in done.stdout, done.stderr


def test_a_run_is_linted_by_its_student(tmp_path):
    from bssl_tf.training.planned_network import planned_network

    spec = BackboneSpec("reactnet_small", 8, 1, mean=(78,), std=(96,), stages=2)
    save_backbone(build_backbone(spec), spec, tmp_path / "stage2")
    assert planned_network(tmp_path).output_shape == (None, 128)


def test_a_damaged_description_is_told(tmp_path):
    from bssl_tf.training.planned_network import planned_network

    (tmp_path / "backbone.json").write_text("{")
    with pytest.raises(UserError, match="backbone.json is damaged"):
        planned_network(tmp_path)


def test_a_recipe_with_an_unknown_flag_is_refused(tmp_path):
    (tmp_path / "odd.cfg").write_text("--studnet=quicknet\n")
    with pytest.raises(ConfigError, match="odd.cfg is no recipe.*studnet"):
        config_from_recipe(tmp_path / "odd.cfg")
    (tmp_path / "wrong.cfg").write_text("--student=lenet\n")
    with pytest.raises(ConfigError, match="--student=lenet: choose one of"):
        config_from_recipe(tmp_path / "wrong.cfg")


def test_what_is_no_network_is_told(tmp_path):
    from bssl_tf.errors import UserError
    from bssl_tf.training.planned_network import planned_network

    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match="no run, no folder with backbone.json, no recipe"):
        planned_network(tmp_path / "notes.txt")


def test_a_detector_is_linted_with_neck_and_head(tmp_path):
    spec = DetectorSpec(BackboneSpec("reactnet_small", 64, 1, (60.0,), (80.0,)), ("a", "b"), 32, 1)
    write_json(tmp_path / DETECTOR_FILE, dataclasses.asdict(spec) | {"facts": {}})
    done = lint(f"--lint={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "Deployability of reactnet_small_detector, 64×64×1 pixels" in done.stdout
