"""What cannot fit is refused by flag before it is tried; the estimates are below what networks really take."""

import dataclasses
import shutil

import numpy as np
import pytest

from bssl_tf.config.training import BsslSettings, Config, OptimizerSettings, RunSettings, StudentSettings
from bssl_tf.errors import ConfigError
from bssl_tf.models import BackboneSpec, build_backbone
from bssl_tf.models.choices import ARCHITECTURES, FLOAT
from bssl_tf.training import memory
from bssl_tf.training.memory import check_memory, disk_needed, network_size

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


def test_every_architecture_has_an_estimate():
    for name in ARCHITECTURES:
        assert network_size(name, width=32, depth=1, stages=3).parameters > 0


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
        check_memory(dataclasses.replace(Config(), **settings), image_size=32)


def test_usual_runs_are_not_refused(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 2 * 2**30)
    check_memory(Config(), image_size=28)


def test_a_run_of_the_teacher_alone_takes_nothing_for_the_student():
    config = Config(run=RunSettings(task="teacher"), bssl=BsslSettings(pseudo_classes=1_000_000))
    check_memory(config, image_size=8)
    assert disk_needed(config) < 100e6


def test_a_disk_without_room_for_the_checkpoints_is_warned_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 10**6))
    memory.warn_of_disk(Config(), tmp_path)
    assert "and 1 MB are free" in capsys.readouterr().err
    monkeypatch.undo()
    memory.warn_of_disk(Config(), tmp_path)
    assert capsys.readouterr().err == ""
