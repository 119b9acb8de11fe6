"""What `evaluate.py` finds in a workdir."""

import dataclasses
import json

import pytest

from bssl_tf.config.training import Config, MethodSettings, RunSettings, TeacherSettings
from bssl_tf.evaluation.networks import each_once, named_networks, networks_of_run

SPEC = {"name": "reactnet_small", "mode": "binary_activations", "image_size": 8, "channels": 1}
STAGE_1 = "stage 1: binary activations"


def checkpoint(folder, **spec):
    folder.mkdir(parents=True)
    (folder / "backbone.json").write_text(json.dumps(SPEC | spec))
    (folder / "backbone.weights.h5").write_bytes(b"weights")
    return folder


def test_a_run_has_a_random_network_its_stages_and_its_files(tmp_path):
    checkpoint(tmp_path / "stage1")
    (tmp_path / "a.tflite").write_bytes(b"file")
    (tmp_path / "b.tflite").write_bytes(b"classifier")
    (tmp_path / "b.json").write_text(json.dumps({"parity": None, "extra": {"class_names": ["cat", "dog"]}}))
    random, stage, file, classifier = networks_of_run(tmp_path, Config())
    assert (random.pretrained, random.spec["mode"], stage.spec["mode"]) == (False, "binary", "binary_activations")
    assert file.class_names is None and classifier.class_names == ("cat", "dog") and file.facts["bytes"] == 4
    before = stage.identity
    (tmp_path / "stage1" / "backbone.weights.h5").write_bytes(b"other weights")
    assert networks_of_run(tmp_path, Config())[1].identity != before


def test_checkpoints_that_do_not_belong_are_refused(tmp_path):
    checkpoint(tmp_path / "other" / "stage2", name="quicknet")
    with pytest.raises(ValueError, match="another student: a quicknet, but .* --student=reactnet_small"):
        networks_of_run(tmp_path / "other", Config())
    folder = checkpoint(tmp_path / "half" / "stage2")
    (folder / "backbone.weights.h5").unlink()
    with pytest.raises(ValueError, match="backbone.weights.h5 is missing"):
        networks_of_run(tmp_path / "half", Config())
    with pytest.raises(ValueError, match="neither a .tflite file nor a folder"):
        named_networks([str(tmp_path)])


def test_every_network_is_there_once_under_a_name_of_its_own(tmp_path):
    stage = checkpoint(tmp_path / "run" / "stage2")
    for place, content in (("run", b"a"), ("b", b"b"), ("c", b"c"), ("copy", b"c")):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "model.tflite").write_bytes(content)
    named = named_networks([stage, *(tmp_path / place / "model.tflite" for place in ("b", "c", "copy"))])
    found = each_once(named, networks_of_run(tmp_path / "run", Config()))
    assert [network.name for network in found] == [
        "BSSL student, binary",  # not its path, and not twice
        f"{tmp_path / 'b' / 'model.tflite'}, LCE interpreter",
        f"{tmp_path / 'c' / 'model.tflite'}, LCE interpreter",  # its copy is the same network
        "random network, binary",
        f"{tmp_path / 'run' / 'model.tflite'}, LCE interpreter",
    ]


def test_a_file_of_fewer_bits_has_its_own_deviation(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"file")
    parities = {"parity": {"largest_deviation": 1e-5}, "parity_rounded": {"largest_deviation": 2.5}}
    (tmp_path / "a.json").write_text(json.dumps(parities))
    assert named_networks([tmp_path / "a.tflite"])[0].facts["deviation"] == 2.5


def test_a_run_of_somebody_else_gets_no_package_imported(tmp_path, monkeypatch):
    package = tmp_path / "payload_package"
    package.mkdir()
    (package / "__init__.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w').close()")
    (package / "method.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    checkpoint(tmp_path / "stage2")
    config = Config(method=MethodSettings(method="payload_package.method"))
    assert networks_of_run(tmp_path, config)[1].name == "payload_package.method student, binary"
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("trained_in", ["original", "somewhere/relative"])
def test_a_copied_run_has_the_teacher_of_its_own_folder(tmp_path, monkeypatch, trained_in):
    monkeypatch.chdir(tmp_path)
    for name in ("original", "copy"):
        folder = checkpoint(tmp_path / name / "teacher", name="resnet_small", image_size=8 if name == "copy" else 16)
        (folder / "backbone.weights.h5").write_text(f"weights of the {name}")
    (teacher,) = networks_of_run(tmp_path / "copy", Config(run=RunSettings(workdir=trained_in)))
    assert teacher.name == "teacher, float" and teacher.spec["image_size"] == 8


@pytest.mark.parametrize("given, where", [("runs/earlier", "runs/earlier"), ("resnet_small", "run/teacher")])
def test_a_teacher_that_is_not_there_is_named(tmp_path, monkeypatch, capsys, given, where):
    checkpoint(tmp_path / "run" / "stage1")
    config, usual = Config(teacher=TeacherSettings(teacher=given)), ["random network, binary", STAGE_1]
    monkeypatch.chdir(tmp_path)
    assert [network.name for network in networks_of_run(tmp_path / "run", config)] == usual
    shown = f"the teacher is left out: {tmp_path / where} is not there (--teacher={given} of this run)"
    assert shown in capsys.readouterr().out
    simclr = dataclasses.replace(config, method=MethodSettings(method="simclr"))
    assert [network.name for network in networks_of_run(tmp_path / "run", simclr)] == usual
    checkpoint(tmp_path / where)
    assert [network.name for network in networks_of_run(tmp_path / "run", config)] == [*usual, "teacher, float"]
    assert not capsys.readouterr().out
