"""`bssl_tf.export`: what convert.py does, as one call."""

import contextlib
import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import bssl_tf
from bssl_tf import ConfigError, ExportSettings
from bssl_tf.deploy import inspect_file
from bssl_tf.deploy.export import has_few_test_images
from bssl_tf.deploy.flatbuffer import float_weights
from bssl_tf.deploy.metadata import read_metadata
from bssl_tf.deploy.papers import damaged_paper
from bssl_tf.deploy.subjects import subject_of
from bssl_tf.errors import UserError
from bssl_tf.file_sets import write_set
from bssl_tf.locks import InUse, alone, lock_beside
from bssl_tf.models.classifier import build_classifier, save_classifier
from tests.runs_on_disk import DATA, SPEC, untrained_run

ENDINGS = (".tflite", ".json", ".md")


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


def test_a_file_of_fewer_bits_is_compared_as_it_is(run, tmp_path, monkeypatch):
    settings = ExportSettings(float_weights="int8", parity_images=50)
    monkeypatch.setattr(float_weights, "_LEAST_NUMBERS", 16)
    given = bssl_tf.export(run, tmp_path / "a.tflite", settings)
    assert given.parity.ok and given.parity.agreeing > given.rounded.agreeing
    assert given.rounded.largest_deviation > 10 * given.parity.largest_deviation
    assert "This file, which has fewer, is near it" in (tmp_path / "a.md").read_text()
    store = float_weights._store

    def zeros(model, *arguments):
        place = store(model, *arguments)
        buffer = model.buffers[model.subgraphs[0].tensors[place].buffer]
        buffer.data = np.zeros_like(buffer.data)
        return place

    monkeypatch.setattr(float_weights, "_store", zeros)
    with pytest.raises(UserError, match="--float_weights=int8 loses too much: .* Store them in float16 or float32"):
        bssl_tf.export(run, tmp_path / "b.tflite", settings)
    assert not (tmp_path / "b.tflite").exists()


def test_codes_are_centred_again_for_other_training_images(run, exported):
    fewer = dataclasses.replace(subject_of(run).data, max_train_images=100)
    with pytest.raises(ConfigError, match="came from other weights or options"):
        bssl_tf.export(run, exported.path, ExportSettings(outputs="codes,features"), data=fewer)


def test_other_options_need_overwrite(exported):
    before = exported.path.read_bytes()
    with pytest.raises(ConfigError, match="model.tflite exists and came from other weights or options"):
        bssl_tf.export(exported.path.parent, exported.path, ExportSettings(fold=False))
    assert exported.path.read_bytes() == before


def test_where_test_images_are_few_training_images_are_compared_too(run, tmp_path):
    few = dataclasses.replace(DATA, max_test_images=10)
    assert has_few_test_images(subject_of(run), ExportSettings(), few)
    assert not has_few_test_images(subject_of(run), ExportSettings(), DATA)
    exported = bssl_tf.export(run, tmp_path / "few.tflite", ExportSettings(), data=few)
    assert 64 <= exported.parity.images <= 80
    assert exported.report["extra"]["test data"] == "digits, and training images"


def test_nothing_is_converted_twice(run, tmp_path, monkeypatch):
    import bssl_tf.deploy.convert as convert

    calls, converted = [], convert._converted
    monkeypatch.setattr(convert, "_converted", lambda *arguments: calls.append(arguments) or converted(*arguments))
    exported = bssl_tf.export(run, tmp_path / "plain.tflite", ExportSettings(fold=False, parity_images=16))
    assert len(calls) == 1 and exported.report["operators_unfolded"] is None
    calls.clear()
    bssl_tf.export(run, tmp_path / "folded.tflite", ExportSettings(parity_images=16))
    assert len(calls) == 1


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
    save_classifier(classifier, tmp_path / "c", {"data": {"dataset": "digits", "max_test_images": 80}})
    exported = bssl_tf.export(tmp_path / "c", tmp_path / "c.tflite")
    assert exported.report["extra"]["class_names"] == list(names) and exported.parity.images == 80
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


@pytest.mark.parametrize("name", ["config.json", "README.md"])
def test_files_that_are_no_papers_of_an_export_are_not_replaced(run, tmp_path, name):
    path = tmp_path / name
    path.write_text('{"workdir": "runs/a"}')
    with pytest.raises(ConfigError, match=rf"--output=.*would replace .*{name}, .* add --overwrite"):
        bssl_tf.export(run, path.with_suffix(".tflite"))
    assert path.read_text() == '{"workdir": "runs/a"}' and not path.with_suffix(".tflite").exists()


def test_papers_of_an_export_that_lost_its_file_are_replaced(copied, tmp_path):
    (tmp_path / "model.tflite").unlink()
    assert not copied().reused and (tmp_path / "model.tflite").exists()


def flip_bytes(path):
    content = bytearray(path.read_bytes())
    content[1000:1010] = bytes(10)
    path.write_bytes(content)


@pytest.fixture
def copied(run, exported, tmp_path):
    """The exported file with its papers, elsewhere; gives what exports there again."""
    for suffix in ENDINGS:
        shutil.copy(exported.path.with_suffix(suffix), tmp_path)

    def export_again(**options):
        settings = ExportSettings(outputs="codes,features", parity_images=16, **options)
        return bssl_tf.export(run, tmp_path / "model.tflite", settings)

    return export_again


def test_a_damaged_file_is_not_taken_for_what_its_report_says(copied, tmp_path):
    assert copied().reused
    flip_bytes(tmp_path / "model.tflite")
    with pytest.raises(ConfigError, match="is not the file that model.json describes"):
        copied()


def test_a_file_without_its_papers_is_made_again(copied, tmp_path):
    (tmp_path / "model.md").unlink()
    assert not copied().reused and (tmp_path / "model.md").exists()
    (tmp_path / "model.json").write_text("null")
    with pytest.raises(ConfigError, match="model.json must hold names and values.*add --overwrite"):
        copied()
    (tmp_path / "model.json").unlink()
    with pytest.raises(ConfigError, match="exists without the report of an export"):
        copied()


def report_with(**values):
    def damage(file):
        facts = file.with_suffix(".json")
        facts.write_text(json.dumps(json.loads(facts.read_text()) | values))

    return damage


def without_checksums(file):
    """As the first release wrote it."""
    facts = file.with_suffix(".json")
    report = json.loads(facts.read_text())
    facts.write_text(json.dumps({name: value for name, value in report.items() if not name.startswith("sha256_of_")}))


@pytest.mark.parametrize(
    "damages, ending",
    [
        ([lambda file: file.with_suffix(".md").write_text("garbage")], ".md"),
        ([lambda file: file.with_suffix(".md").write_text(file.with_suffix(".md").read_text() + "x")], ".md"),
        ([lambda file: file.with_suffix(".md").unlink()], ".md"),
        ([report_with(parity=None, operators=3)], ".json"),
        ([report_with(bytes=3)], ".json"),
        ([without_checksums], ""),
        ([without_checksums, report_with(parity=None)], ".json"),
        ([without_checksums, lambda file: file.with_suffix(".md").write_bytes(b"\xff")], ".md"),
    ],
)
def test_reports_that_are_not_as_they_were_written_are_found(exported, copied, tmp_path, damages, ending):
    file = tmp_path / "model.tflite"
    for damage in damages:
        damage(file)
    report = json.loads(file.with_suffix(".json").read_text())
    assert damaged_paper(file, report) == (file.with_suffix(ending) if ending else None)


def test_damaged_reports_are_made_again_with_their_file(exported, copied, tmp_path, capsys):
    report_with(parity=None)(tmp_path / "model.tflite")
    again = copied()
    assert not again.reused and again.parity.ok and "model.json is not as it was written" in capsys.readouterr().err
    assert copied().reused


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_set_that_was_being_moved_into_place_is_finished(exported, copied, tmp_path, monkeypatch, moved):
    """Killed before the first of three files was moved, …, after the last."""
    for path in tmp_path.iterdir():
        path.unlink()
    contents = {exported.path.with_suffix(end).name: exported.path.with_suffix(end).read_bytes() for end in ENDINGS}
    replace, left = os.replace, [moved]

    def replace_some(source, target):
        if ".set" in str(source) and ".set" not in str(target):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_some)
        with contextlib.suppress(KeyboardInterrupt):
            write_set(tmp_path / "model.tflite", contents)
    assert copied().reused
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(contents)


def test_a_set_that_was_not_complete_leaves_the_old_one(copied, tmp_path):
    folder = tmp_path / ".model.tflite.set"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(b"half")
    assert copied().reused and not folder.exists()


def test_two_exports_to_one_file_are_kept_apart(copied, tmp_path):
    with (
        alone(lock_beside(tmp_path / "model.tflite"), "", ""),
        pytest.raises(InUse, match="--output=.*is in use since"),
    ):
        copied()


def test_an_output_that_cannot_be_written_is_found_at_once(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--output=.*file/model.tflite cannot be written"):
        bssl_tf.export(run, tmp_path / "file" / "model.tflite")
