"""What cannot fit is refused by flag before it is tried; the estimates are below what networks really take."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.training import (
    BsslSettings,
    Config,
    MethodSettings,
    OptimizerSettings,
    PretrainingSettings,
    RunSettings,
    StudentSettings,
    TeacherSettings,
)
from bssl_tf.errors import ConfigError
from bssl_tf.methods.bssl import Bssl
from bssl_tf.models import BackboneSpec, build_backbone
from bssl_tf.models.choices import ARCHITECTURES, FLOAT
from bssl_tf.training import memory
from bssl_tf.training.memory import check_memory, disk_needed, memory_needed, network_size, planned_networks

SHAPES = [dict(width=16, depth=1, stages=2), dict(width=8, depth=3, stages=3)]


@pytest.mark.parametrize("name", ["reactnet_small", "resnet_small"])
@pytest.mark.parametrize("shape", SHAPES)
def test_small_networks_have_at_least_the_estimated_size(name, shape):
    mode = {"mode": FLOAT} if name == "resnet_small" else {}
    model = build_backbone(BackboneSpec(name, 16, 1, mean=(1,), std=(1,), **shape, **mode))
    size = network_size(name, **shape)
    maps = sum(np.prod(layer.output_shape[1:]) for layer in model.layers if isinstance(layer.output_shape, tuple))
    assert 0.8 * model.count_params() < size.parameters <= model.count_params()
    assert size.features == model.output_shape[-1]
    assert size.maps * 16 * 16 <= maps


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_what_the_backward_pass_needs_is_at_least_what_is_estimated(name):
    model = build_backbone(BackboneSpec(name, 64, 3, mean=(1,) * 3, std=(1,) * 3, mode=FLOAT))
    step = tf.function(lambda images: model(images, training=True), autograph=False)
    concrete = step.get_concrete_function(tf.TensorSpec((2, 64, 64, 3)))
    forward, _ = concrete._delayed_rewrite_functions.forward_backward()
    kept = {each.name: each for each in forward.graph.outputs if each.shape.rank == 4 and each.shape[0] == 2}
    maps = sum(each.shape.num_elements() for each in kept.values()) / (2 * 64 * 64)
    size = network_size(name, width=0, depth=0, stages=0)
    assert 0.8 * maps < size.maps <= maps and 0.9 * model.count_params() < size.parameters <= model.count_params()


def test_every_architecture_has_an_estimate():
    for name in ARCHITECTURES:
        assert network_size(name, width=32, depth=1, stages=3).parameters > 0


def test_a_network_without_an_estimate_is_not_taken_for_another_one():
    with pytest.raises(KeyError, match="new_student has no size yet: add it to _FIXED in .*memory.py"):
        network_size("new_student", width=32, depth=1, stages=3)


@pytest.mark.parametrize(
    "settings, flag",
    [
        (dict(bssl=BsslSettings(pseudo_classes=1_000_000)), "--pseudo_classes=1000000 takes at least"),
        (dict(student=StudentSettings(student_width=4096, student_stages=8)), "--student_width=4096"),
        (dict(optimizer=OptimizerSettings(batch_size=2**20)), "--batch_size=1048576.*raise --micro_batches"),
    ],
)
def test_what_cannot_fit_is_refused_by_its_flag(monkeypatch, settings, flag):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 16 * 2**30)
    with pytest.raises(ConfigError, match=flag):
        check_memory(planned_networks(dataclasses.replace(Config(), **settings)), 32, "float32")


def test_the_memory_of_gpus_is_not_that_of_the_machine(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 2**30)
    networks = planned_networks(Config(optimizer=OptimizerSettings(batch_size=2**20)))
    with pytest.raises(ConfigError, match="--batch_size=1048576"):
        check_memory(networks, 32, "float32")
    check_memory(networks, 32, "float32", on_gpus=True)


def test_a_finished_teacher_takes_its_weights_alone():
    config = Config(teacher=TeacherSettings(teacher="resnet18"))
    still_open = ("stage1", "stage2")
    (teacher, student), (_, all_of_student) = planned_networks(config, still_open), planned_networks(config)
    needed = memory_needed([teacher], 32, "float32")
    assert needed == {"--teacher=resnet18": 4 * 11_000_000} and disk_needed([teacher]) == 0
    assert student == all_of_student and student.phases == 2


def test_a_parameter_takes_what_the_optimizer_keeps_of_it():
    def bytes_of(optimizer):
        config = Config(
            pretraining=PretrainingSettings(teacher_optimizer=optimizer),
            optimizer=OptimizerSettings(optimizer=optimizer),
        )
        return [network.trained_bytes for network in planned_networks(config)]

    assert [bytes_of(name) for name in ("adam", "adamw", "sgd", "lars")] == [[16] * 2, [16] * 2, [12] * 2, [12] * 2]


def test_a_frozen_target_takes_its_weights_alone():
    def needed(target):
        networks = planned_networks(Config(bssl=BsslSettings(target=target, pseudo_classes=100)))
        return memory_needed(networks, 28, "float32")["--pseudo_classes=100"], networks

    (joint, networks), (frozen, _) = needed("joint"), needed("frozen")
    of_target = networks[0].size.features * 100 + 100**2
    assert joint - frozen == 12 * of_target


def test_usual_runs_are_not_refused(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 2 * 2**30)
    check_memory(planned_networks(Config()), 28, "float32")


def test_a_run_of_the_teacher_alone_takes_nothing_for_the_student():
    config = Config(run=RunSettings(task="teacher"), bssl=BsslSettings(pseudo_classes=1_000_000))
    check_memory(planned_networks(config), 8, "float32")
    assert disk_needed(planned_networks(config)) < 100e6


def test_a_teacher_that_the_method_does_not_need_takes_nothing():
    simclr = Config(method=MethodSettings(method="simclr"))
    assert [network.flag for network in planned_networks(simclr)] == [planned_networks(Config())[-1].flag]
    assert not planned_networks(simclr)[0].beside


def test_a_method_that_has_one_view_at_a_time_needs_half_of_the_maps():
    both, one = (
        planned_networks(Config(method=MethodSettings(method="moco_v2", method_options=f"symmetric={value}")))[0]
        for value in ("true", "false")
    )
    assert both.images == 2 * one.images == 2 * Config().optimizer.batch_size


@pytest.mark.parametrize("target", ["balanced", "joint"])
def test_what_trains_beside_the_student_is_at_least_what_its_settings_declare(target):
    shape = dict(width=16, depth=1, stages=2)
    teacher = build_backbone(BackboneSpec("resnet_small", 16, 1, mean=(1,), std=(1,), mode=FLOAT, **shape))
    student = build_backbone(BackboneSpec("reactnet_small", 16, 1, mean=(1,), std=(1,), **shape))
    settings = BsslSettings(target=target, pseudo_classes=96)
    method = Bssl(teacher, student, **settings.options(10))
    beside = method.classifier.count_params() + method.target_classifier.count_params()
    declared = settings.parameters(student.output_shape[-1], teacher.output_shape[-1])
    assert list(declared) == ["--pseudo_classes=96"] and 0.9 * beside < declared["--pseudo_classes=96"] <= beside


def test_a_disk_without_room_for_the_checkpoints_is_warned_of(tmp_path, monkeypatch, capsys):
    needed = memory.disk_needed(planned_networks(Config()))
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**6))
    memory.warn_of_disk(needed, tmp_path, ("teacher", "stage1", "stage2"))
    assert "and 1 MB are free" in capsys.readouterr().err
    monkeypatch.undo()
    memory.warn_of_disk(needed, tmp_path, ("teacher", "stage1", "stage2"))
    assert capsys.readouterr().err == ""
