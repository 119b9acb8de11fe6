"""`bssl_tf.export`: what convert.py does, as one call."""

import json

import pytest
import tensorflow as tf

import bssl_tf
from bssl_tf import ConfigError, ExportSettings
from bssl_tf.deploy import inspect_file
from bssl_tf.deploy.metadata import read_metadata
from bssl_tf.models.classifier import build_classifier, save_classifier
from tests.runs_on_disk import DATA, SPEC, untrained_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run):
    return bssl_tf.export(run, run / "model.tflite", ExportSettings(outputs="codes,features", parity_images=50))


def test_a_run_becomes_a_file_with_parity_metadata_and_report(exported, run):
    assert exported.path == run / "model.tflite" and not exported.reused
    assert exported.parity.ok and exported.parity.images == 50
    assert json.loads(exported.path.with_suffix(".json").read_text()) == exported.report
    content = exported.path.read_bytes()
    assert [output.name for output in inspect_file(content).outputs] == ["features", "codes"]
    facts = read_metadata(content)
    assert facts.provenance["training"]["dataset"] == "digits"
    assert facts.provenance["command"] == "bssl_tf.export stage2 model.tflite outputs=codes,features parity_images=50"
    binary = [exported.report[name]["LceBconv2d"] for name in ("operators", "operators_unfolded")]
    assert binary == [3, 3] and exported.report["operators"] != exported.report["operators_unfolded"]


def test_the_same_export_again_reads_the_report(exported):
    again = bssl_tf.export(exported.path.parent, exported.path, ExportSettings(outputs="features,codes"))
    assert again.reused and again.report == exported.report and again.parity == exported.parity


def test_other_options_need_overwrite(exported):
    before = exported.path.read_bytes()
    with pytest.raises(ConfigError, match="model.tflite exists and came from other weights or options"):
        bssl_tf.export(exported.path.parent, exported.path, ExportSettings(fold=False))
    assert exported.path.read_bytes() == before


def test_without_folding_nothing_is_converted_twice(run, tmp_path, monkeypatch):
    import bssl_tf.deploy.convert as convert

    calls, converted = [], convert._converted
    monkeypatch.setattr(convert, "_converted", lambda *arguments: calls.append(arguments) or converted(*arguments))
    exported = bssl_tf.export(run, tmp_path / "plain.tflite", ExportSettings(fold=False, parity_images=16))
    assert len(calls) == 1 and exported.report["operators_unfolded"] is None
    calls.clear()
    bssl_tf.export(run, tmp_path / "folded.tflite", ExportSettings(parity_images=16))
    assert len(calls) == 2  # the second one counts the operators that folding saves


def test_precision_of_the_caller_is_left_alone(run, tmp_path):
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        assert bssl_tf.export(run, tmp_path / "a.tflite", ExportSettings(parity_images=16)).parity.ok
        assert tf.keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)


def test_a_classifiers_file_has_labels(tmp_path):
    from bssl_tf.models import build_backbone

    names = tuple("0123456789")
    classifier = build_classifier(SPEC, names, build_backbone(SPEC))
    kernel, bias = classifier.head.get_weights()
    classifier.head.set_weights([tf.random.stateless_normal(kernel.shape, (0, 1)), bias])
    save_classifier(classifier, tmp_path / "c", {"data": {"dataset": "digits", "max_test_images": 50}})
    exported = bssl_tf.export(tmp_path / "c", tmp_path / "c.tflite")
    assert exported.report["extra"]["class_names"] == list(names) and exported.parity.images == 50
    assert read_metadata(exported.path.read_bytes()).labels == {"logits": names}
    with pytest.raises(ConfigError, match="--outputs=codes is for backbones"):
        bssl_tf.export(tmp_path / "c", tmp_path / "d.tflite", ExportSettings(outputs="codes"))


@pytest.mark.parametrize(
    "settings, output, message",
    [
        (ExportSettings(outputs="logits"), "a.tflite", "--outputs=logits: give one or more of features, codes"),
        (ExportSettings(input_type="int8"), "a.tflite", "--input_type=int8: choose one of uint8, float32"),
        (ExportSettings(parity_images=1), "a.tflite", "--parity_images=1: give at least 16"),
        (ExportSettings(), "a.bin", "must be a file name that ends in .tflite"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(run, tmp_path, settings, output, message):
    with pytest.raises(ConfigError, match=message):
        bssl_tf.export(run, tmp_path / output, settings, data=DATA)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_student_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="source=.* holds no finished stage 2"):
        bssl_tf.export(tmp_path, tmp_path / "a.tflite")
