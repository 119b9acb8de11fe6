"""Classifiers of the atlas: from any folder that it can show, and from all labels."""

import csv
import dataclasses
import json
import os
import shutil
import sys

import pytest

from bssl_tf.atlas import exporting
from bssl_tf.atlas.atlas import Atlas, Settings
from bssl_tf.atlas.finetuning import FinetuneJob, Watch, fine_tune
from bssl_tf.atlas.indexing import open_index
from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.atlas.predicting import labelled_photos
from bssl_tf.atlas.progress import Progress
from bssl_tf.atlas.store import Label
from bssl_tf.config.saved import load, save
from bssl_tf.deploy.metadata import read_metadata
from bssl_tf.deploy.parity import TooFewImages
from bssl_tf.errors import UserError


def of(digits, digit, count):
    return [path for path, truth in sorted(digits.truth.items()) if truth == digit][:count]


def without_room(*arguments, **options):
    raise TooFewImages("10 images are too few.", "Compare more (--holdout=0.5).")


@pytest.fixture
def run(digits, tmp_path):
    """A run that was trained on a few of its images."""
    folder = shutil.copytree(digits.run, tmp_path / "run")
    config = load(folder / "config.json")
    data = dataclasses.replace(config.data, max_train_images=4, max_test_images=2)
    save(dataclasses.replace(config, data=data), folder / "config.json")
    return folder


@pytest.fixture
def atlas(digits, run, tmp_path):
    """Ten photos, with names of which --holdout=0.9 leaves none for training; all are labelled."""
    folder = tmp_path / "ten"
    folder.mkdir()
    chosen = of(digits, "0", 5) + of(digits, "1", 5)
    for number, path in enumerate(chosen):
        shutil.copy(digits.folder / path, folder / f"c{number}.png")
    made = Atlas(Settings(digits.model, folder, tmp_path / "session"), Progress())
    made._photos = PhotoFolder(folder)
    made._index, made._run = open_index(tmp_path / "session", digits.model, made._photos), run
    for name, numbers in (("zero", range(5)), ("one", range(5, 10))):
        made.store.label([f"c{number}.png" for number in numbers], made.store.add_class(name))
    yield made
    made.close()


def test_a_classifier_of_ten_photos(atlas):
    written = atlas.export_classifier()
    assert "of 10 images agree" in written["parity"]
    assert read_metadata((atlas.exports / "classifier.tflite").read_bytes()).labels == {"logits": ("zero", "one")}
    data = json.loads((atlas.exports / "classifier" / "classifier.json").read_text())["facts"]["data"]
    assert data["max_train_images"] == data["max_test_images"] == 0


def test_a_classifier_where_a_foreign_table_of_labels_lies_among_the_photos(atlas):
    shutil.copy(atlas.export_csv(), atlas.photos.root / "labels.csv")
    with open(atlas.photos.root / "labels.csv", newline="") as file:
        assert next(csv.reader(file)) != ["file", "labels"]
    assert "of 10 images agree" in atlas.export_classifier()["parity"]


def test_too_few_photos_to_compare_on_get_a_remedy_of_the_atlas(atlas, monkeypatch):
    monkeypatch.setattr(sys.modules["bssl_tf.deploy.export"], "export", without_room)
    with pytest.raises(UserError) as raised:
        atlas.export_classifier()
    assert str(raised.value).startswith("10 images are too few. Put more photos into ")
    assert "--holdout" not in str(raised.value)


@pytest.fixture
def fine_tuning(digits, photos, run, tmp_path):
    """Fine-tune on nine photos of each of two classes."""
    labels = {path: Label(int(digit) + 1, "picked") for digit in "01" for path in of(digits, digit, 9)}
    labelled = labelled_photos(labels, photos.numbers, {1: "zero", 2: "one"})
    exporting.write_tree(tmp_path / "tree", photos, labelled)
    job = FinetuneJob(str(run), str(tmp_path / "tree"), str(tmp_path / "finetuned.tflite"), steps=1, layers="head")
    return lambda: fine_tune(job, tmp_path, Watch(tmp_path / "state.json", os.getppid()))


def test_fine_tuning_uses_all_labels_whatever_the_run_was_trained_on(fine_tuning):
    result = fine_tuning()
    assert result["labels"] == 14 and result["count"] == 4


def test_too_few_labels_to_compare_on_get_a_remedy_of_the_atlas(fine_tuning, monkeypatch):
    monkeypatch.setattr(sys.modules["bssl_tf.deploy.export"], "export", without_room)
    with pytest.raises(UserError, match=r"^10 images are too few\. Label more photos\.$"):
        fine_tuning()
