"""Which phases a run has, and when it refuses to go on. No TensorFlow needed."""

import dataclasses

import pytest

from bssl_tf.config.training import (
    BsslSettings,
    Config,
    MethodSettings,
    OptimizerSettings,
    RunSettings,
    TeacherSettings,
    ViewSettings,
)
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import write_json, write_text
from bssl_tf.runs import BACKBONE_FILES, teacher_files
from bssl_tf.training.phases import SettingsChanged, phases


@pytest.fixture
def config(tmp_path):
    return Config(run=RunSettings(workdir=str(tmp_path / "run")))


def change(config, **groups):
    return dataclasses.replace(config, **groups)


def names(config):
    return [phase.name for phase in phases(config)]


def finish_teacher(folder):
    for name in BACKBONE_FILES:
        write_text(folder / "teacher" / name, "weights")
    write_json(folder / "teacher" / "summary.json", {})


def test_one_command_runs_teacher_and_both_stages(config):
    assert names(config) == ["teacher", "stage1", "stage2"]


def test_ablation_rows_have_a_single_stage_from_scratch(config):
    row = change(config, bssl=BsslSettings(ablation="balancing"))
    assert names(row) == ["teacher", "stage2"]
    assert phases(row)[-1].settings["starts_from"] == "scratch"
    assert phases(config)[-1].settings["starts_from"] == "stage1"


@pytest.mark.parametrize(
    "method, expected",
    [
        ("simclr", ["stage1", "stage2"]),
        ("s2bnn", ["teacher", "stage1", "stage2"]),
        ("supervised", ["stage1", "stage2"]),
    ],
)
def test_a_teacher_is_trained_only_for_methods_that_need_one(config, method, expected):
    assert names(change(config, method=MethodSettings(method=method))) == expected


def test_settings_of_bssl_do_not_concern_other_methods(config):
    moco = change(config, method=MethodSettings(method="moco_v2", method_options="momentum=0.9"))
    settings = phases(moco)[-1].settings
    assert settings == phases(change(moco, bssl=BsslSettings(pseudo_classes=3)))[-1].settings
    assert settings["method_options"]["momentum"] == 0.9 and settings["method_options"]["queue_size"] == 4096
    moco_as_by_default = change(moco, method=MethodSettings(method="moco_v2"))
    phases(moco)[-1].save_settings()
    with pytest.raises(SettingsChanged, match="--method_options: saved"):
        phases(moco_as_by_default)[-1].check_settings()


def test_local_crops_concern_methods_with_multi_crop_only(config):
    small = change(config, views=ViewSettings(local_crops=2))
    assert phases(small)[-1].settings == phases(config)[-1].settings
    swav = MethodSettings(method="swav")
    assert phases(change(small, method=swav))[-1].settings["local_crops"] == 2


def test_a_teacher_of_an_earlier_run_is_not_trained_again(config, tmp_path):
    finish_teacher(tmp_path / "earlier")
    borrowed = change(config, teacher=TeacherSettings(teacher=str(tmp_path / "earlier")))
    assert names(borrowed) == ["stage1", "stage2"]
    assert teacher_files(borrowed.run.workdir, borrowed.teacher.teacher).path == tmp_path / "earlier" / "teacher"


def test_the_students_settings_know_the_teachers_weights(config, tmp_path):
    finish_teacher(tmp_path / "run")
    before = phases(config)[-1].settings["teacher_fingerprint"]
    write_text(tmp_path / "run" / "teacher" / BACKBONE_FILES[1], "other weights")
    assert before and phases(config)[-1].settings["teacher_fingerprint"] != before


@pytest.mark.parametrize(
    "task, teacher, message",
    [
        ("all", "resnet51", "--teacher=resnet51 is neither an existing path nor one of resnet_small, resnet18"),
        ("student", "resnet18", "holds no finished one: run --task=teacher"),
        ("teacher", "runs/x", "--teacher=runs/x is none of them"),
    ],
)
def test_a_teacher_that_cannot_be_had_is_an_error(config, task, teacher, message):
    asked = change(config, run=dataclasses.replace(config.run, task=task), teacher=TeacherSettings(teacher=teacher))
    with pytest.raises(ConfigError, match=message):
        phases(asked)


def test_changed_settings_are_refused_with_the_difference(config):
    stage = phases(config)[1]
    stage.save_settings()
    stage.check_settings()
    changed = change(config, optimizer=OptimizerSettings(epochs=7))
    with pytest.raises(SettingsChanged, match="--epochs: saved 100, now 7"):
        phases(changed)[1].check_settings()


def test_settings_without_effect_on_the_result_may_change(config):
    phases(config)[1].save_settings()
    relaxed = change(config, run=dataclasses.replace(config.run, log_every=3, knn_every=0))
    phases(relaxed)[1].check_settings()
    assert phases(relaxed)[1].settings == phases(config)[1].settings


def test_a_damaged_settings_file_is_an_error(config):
    stage = phases(config)[1]
    write_text(stage.folder.settings_file, "{")
    with pytest.raises(UserError, match="settings.json is damaged"):
        stage.check_settings()
