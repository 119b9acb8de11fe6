"""`bssl_tf.evaluate`: what evaluate.py does, as one call."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import bssl_tf
from bssl_tf import ConfigError, DataSettings, EvaluationSettings, UserError
from bssl_tf.deploy import convert_backbone
from bssl_tf.deploy.metadata import FileFacts, attach_metadata
from bssl_tf.evaluation import measuring
from bssl_tf.evaluation.data_sets import data_sets
from bssl_tf.evaluation.protocols.knn import Knn
from bssl_tf.evaluation.runner import _drawn_before
from bssl_tf.models import build_backbone
from bssl_tf.models.classifier import build_classifier
from tests.runs_on_disk import SPEC, untrained_run


@pytest.fixture
def run(tmp_path):
    return untrained_run(tmp_path / "run")


def names(result):
    return {(row.network, row.measure) for row in result.rows if row.headline}


def test_everything_in_a_run_is_measured_once_and_table_md_keeps_it(run, monkeypatch):
    first = bssl_tf.evaluate(run, settings=EvaluationSettings(protocols="knn"), plots=False)
    assert names(first) == {("random network, binary", "20-NN"), ("BSSL student, binary", "20-NN")}
    assert first.folder == run / "evaluation" and len(first.records) == 2
    assert list(json.loads((first.folder / "results.json").read_text()).values()) == first.records

    second = bssl_tf.evaluate(run, settings=EvaluationSettings(protocols="svm", svm_shots="1", draws=2), plots=False)
    assert {row.measure for row in second.rows} == {"SVM", "low-shot SVM"}
    table = (first.folder / "table.md").read_text()
    assert "20-NN %" in table and "SVM %" in table

    monkeypatch.setattr(measuring, "measure", lambda jobs, *_: jobs and pytest.fail("measured again"))
    again = bssl_tf.evaluate(run, settings=EvaluationSettings(protocols="knn"), plots=False)
    assert again.rows == first.rows and again.records == first.records


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "", "\xff", '["other"]'])
def test_plots_are_drawn_anew_where_their_list_is_damaged(tmp_path, text):
    (tmp_path / "drawn.json").write_text("[]")
    assert _drawn_before(tmp_path, [])
    (tmp_path / "drawn.json").write_bytes(text.encode("latin-1"))
    assert not _drawn_before(tmp_path, [])


def test_without_an_output_nothing_is_written_and_few_images_are_warned_of(run, tmp_path, capsys):
    data = DataSettings(max_train_images=100, max_test_images=50)
    before = sorted(tmp_path.rglob("*"))
    result = bssl_tf.evaluate(models=[run / "stage2"], settings=EvaluationSettings(protocols="knn"), data=data)
    assert result.folder is None and result.records[0]["test_images"] == 50
    assert sorted(tmp_path.rglob("*")) == before
    shown = " ".join("".join(capsys.readouterr()).split())
    assert "50 test images measure an accuracy to about ±14 points" in shown


def test_an_error_about_a_transfer_set_names_transfer(run):
    with pytest.raises(UserError, match="^--transfer=cifar is unknown"):
        bssl_tf.evaluate(run, settings=EvaluationSettings(protocols="knn"), transfer=["cifar"], plots=False)
    with pytest.raises(UserError, match="^--dataset=cifar is unknown"):
        bssl_tf.evaluate(run, settings=EvaluationSettings(protocols="knn"), data=DataSettings(dataset="cifar"))


def test_transfer_sets_share_limits_and_a_name_counts_once():
    data = DataSettings(dataset="tfds:mnist", data_dir="there", max_test_images=7, holdout=0.5)
    first, other = data_sets(data, ["digits", "tfds:mnist", "digits"])
    assert (first.settings, first.flag) == (data, "--dataset") and other.name == "digits"
    assert other.settings == DataSettings(dataset="digits", data_dir="there", max_test_images=7)
    assert data_sets(data, [DataSettings(holdout=0.2)])[1].settings.holdout == 0.2


def test_data_sets_of_one_short_name_are_both_there_under_their_whole_names():
    def names(first, *more):
        return [data_set.name for data_set in data_sets(DataSettings(dataset=first), more)]

    assert names("digits", "folder:digits", "digits") == ["digits", "folder:digits"]
    assert names("folder:digits", "digits") == ["folder:digits", "digits"]
    assert names("tfds:mnist", "folder:mnist", "folder:photos") == ["tfds:mnist", "folder:mnist", "photos"]


def test_one_data_set_with_two_settings_is_refused():
    photos = DataSettings(dataset="folder:photos", holdout=0.05)
    with pytest.raises(ConfigError, match="--transfer=folder:photos is there already, with another --holdout"):
        data_sets(photos, ["folder:photos"])
    assert len(data_sets(photos, [dataclasses.replace(photos, image_size=32, test_split="train")])) == 1


def test_what_was_measured_before_has_the_names_of_now(run, tmp_path, monkeypatch):
    for place, image in enumerate(np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)):
        path = tmp_path / "digits" / ("train" if place < 30 else "test") / f"class {place % 2}" / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    monkeypatch.chdir(tmp_path)
    alone = {"settings": EvaluationSettings(protocols="knn"), "output": "out", "plots": False}
    first = bssl_tf.evaluate(models=[run / "stage2"], data=DataSettings(dataset="folder:digits"), **alone)
    assert {row.data for row in first.rows} == {"digits"}
    both = bssl_tf.evaluate(models=[run / "stage2"], transfer=["folder:digits"], **alone)
    assert [row.data for row in both.rows if row.measure == "20-NN"] == ["digits", "folder:digits"]
    assert [row.mean for row in both.rows if row.data == "folder:digits"] == [row.mean for row in first.rows]
    (head,) = [
        line for line in (tmp_path / "out" / "table.md").read_text().splitlines() if line.startswith("| network")
    ]
    assert "digits: 20-NN % | folder:digits: 20-NN %" in head


def test_one_test_image_makes_no_map_and_ends_nothing(run, tmp_path, capsys):
    data = DataSettings(max_train_images=100, max_test_images=1)
    settings = EvaluationSettings(protocols="knn")
    result = bssl_tf.evaluate(models=[run / "stage2"], settings=settings, data=data, output=tmp_path / "one")
    assert "digits: no map of" in (shown := capsys.readouterr().out) and "t-SNE needs 2 test images" in shown
    plots = {path.name for path in (result.folder / "plots").iterdir()}
    assert "drawn.json" in plots and any("neighbours" in name for name in plots) and "digits-map.png" not in plots


def test_a_run_without_its_settings_is_not_taken_for_no_run(run):
    (run / "config.json").unlink()
    with pytest.raises(ConfigError, match="has lost config.json: .* trained this run once more"):
        bssl_tf.evaluate(run)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "nothing to evaluate"),
        ({"workdir": "nothing"}, "--workdir=nothing holds no run"),
        ({"models": ["nothing.tflite"]}, "--model=nothing.tflite is neither"),
        ({"settings": EvaluationSettings(protocols="kmeans")}, "'kmeans' is unknown"),
        ({"settings": EvaluationSettings(draws=0)}, "--draws=0: give at least 1"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        bssl_tf.evaluate(**arguments)


def classifier(path, names, seed=0):
    """A .tflite file that gives each of the names a score, with its names in the report beside it."""
    tf.keras.utils.set_random_seed(seed)
    model = build_classifier(SPEC, names, build_backbone(SPEC)).model
    facts = FileFacts("classifier", "for tests", "1", {}, {"logits": names})
    path.write_bytes(attach_metadata(convert_backbone(model, output="logits"), facts))
    path.with_suffix(".json").write_text(json.dumps({"parity": None, "extra": {"class_names": list(names)}}))
    return path


def test_a_classifier_of_other_classes_is_left_out_or_refused_before_anything_is_measured(run, capsys, monkeypatch):
    other = classifier(run / "other.tflite", ("zero", "one"))
    classifier(run / "own.tflite", tuple("0123456789"))
    settings = EvaluationSettings(protocols="knn")
    result = bssl_tf.evaluate(run, settings=settings)
    assert {row.network for row in result.rows} == {
        "random network, binary",
        "BSSL student, binary",
        "own.tflite, LCE interpreter",
    }
    assert (result.folder / "table.md").exists()
    shown = " ".join(capsys.readouterr().out.split())
    assert "other.tflite, LCE interpreter is left out: it has 2 classes (zero, one), digits has 10 classes" in shown
    assert f"--model={other} --dataset=" in shown
    drawn = (result.folder / "plots" / "drawn.json").stat().st_mtime_ns
    assert bssl_tf.evaluate(run, settings=settings).rows == result.rows
    assert (result.folder / "plots" / "drawn.json").stat().st_mtime_ns == drawn  # not drawn again

    monkeypatch.setattr(measuring, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(UserError, match="^--model=.*other.tflite cannot be evaluated on digits: it has 2 classes"):
        bssl_tf.evaluate(run, [other], settings, plots=False)
    with pytest.raises(UserError, match="2 classes.* Evaluate it by itself, with --dataset"):
        bssl_tf.evaluate(models=[other, run / "stage2"], settings=settings)


def test_a_classifier_without_its_report_is_one_all_the_same(run, tmp_path):
    path = classifier(tmp_path / "own.tflite", tuple("0123456789"))
    settings = EvaluationSettings(protocols="knn")
    with_report = bssl_tf.evaluate(models=[path], settings=settings, plots=False).rows
    path.with_suffix(".json").unlink()
    assert bssl_tf.evaluate(models=[path], settings=settings, plots=False).rows == with_report
    assert [row.measure for row in with_report] == ["classifier"]


def test_a_classifier_without_report_and_labels_is_refused_before_anything_is_measured(run, monkeypatch):
    network = build_classifier(SPEC, ("a", "b"), build_backbone(SPEC)).model
    (run / "bare.tflite").write_bytes(convert_backbone(network, output="logits"))
    monkeypatch.setattr(Knn, "run", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(UserError, match="bare.tflite is a classifier: it gives logits"):
        bssl_tf.evaluate(run, settings=EvaluationSettings(protocols="knn"), plots=False)


def test_a_classifier_with_its_classes_in_another_order_is_refused(run, tmp_path):
    path = classifier(tmp_path / "mixed.tflite", tuple("1023456789"))
    with pytest.raises(UserError, match="it has the classes of digits in another order"):
        bssl_tf.evaluate(models=[path], plots=False)
