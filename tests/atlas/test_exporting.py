"""The exported folder of classes is read as the same labels, and replaces nothing that it should not."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest

from bssl_tf.atlas import exporting
from bssl_tf.atlas.predicting import labelled_photos
from bssl_tf.atlas.store import Label
from bssl_tf.config.training import DataSettings
from bssl_tf.data import load_source
from bssl_tf.errors import DiskFull, UserError
from tests.atlas.conftest import HOSTILE


@pytest.mark.parametrize("form", exporting.FORMS)
def test_the_exported_tree_is_read_as_the_same_labels(tmp_path, photos, classes, digits, form):
    chosen = np.flatnonzero(classes < 3)[:30]
    names = {1: "zero", 2: "one & two", 3: "日本"}
    labels = {photos.paths[photo]: Label(int(classes[photo]) + 1, "picked") for photo in chosen}
    labels[HOSTILE] = Label(1, "picked")
    labelled = labelled_photos(labels, photos.numbers, names)
    tree = tmp_path / "labels"
    assert exporting.write_tree(tree, photos, labelled, form) == len(labels)
    exporting.write_tree(tree, photos, labelled, form)  # again, in its place
    read = {}
    for split in ("train", "test"):
        source = load_source(DataSettings(dataset=f"folder:{tree}"), split, tmp_path)
        for path, label in zip(source.paths, source.labels, strict=True):
            read[path.split("/")[-1].replace("%2F", "/").replace("%25", "%")] = source.class_names[label]
    assert read == {path: names[label.class_id] for path, label in labels.items()}
    exporting.write_csv(tmp_path / "labels.csv", labels, names)
    with open(tmp_path / "labels.csv", newline="", encoding="utf-8") as file:
        assert {row["path"]: row["class"] for row in csv.DictReader(file)} == read


def test_a_folder_of_others_is_not_replaced(tmp_path, photos, classes):
    chosen = np.flatnonzero(classes < 2)[:10]
    labels = {photos.paths[photo]: Label(int(classes[photo]) + 1, "picked") for photo in chosen}
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not written by this program"):
        exporting.write_tree(tmp_path / "labels", photos, labelled_photos(labels, photos.numbers, {1: "a", 2: "b"}))
    assert (tmp_path / "labels" / "mine.txt").read_text() == "keep"


def test_a_tree_is_replaced_only_by_a_whole_one(tmp_path, photos, classes, monkeypatch):
    chosen = np.flatnonzero(classes < 2)[:10]
    labels = {photos.paths[photo]: Label(int(classes[photo]) + 1, "picked") for photo in chosen}
    labelled = labelled_photos(labels, photos.numbers, {1: "a", 2: "b"})
    tree = tmp_path / "labels"
    exporting.write_tree(tree, photos, labelled, "copies")
    before, copyfile, copied = sorted(tree.rglob("*")), shutil.copyfile, []

    def until_full(source, target):
        copied.append(target)
        if len(copied) > 4:
            raise OSError(28, "No space left on device")
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", until_full)
    with pytest.raises(DiskFull, match="the disk is full: .* are free"):
        exporting.write_tree(tree, photos, dataclasses.replace(labelled, names={1: "c", 2: "d"}), "copies")
    assert sorted(tree.rglob("*")) == before and [path.name for path in tmp_path.iterdir()] == ["labels"]
