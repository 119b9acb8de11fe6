"""Labels that change while a classifier is fitted: every answer is of one revision."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bssl_tf.atlas import predicting, suggesting
from bssl_tf.atlas.atlas import Atlas, Settings
from bssl_tf.atlas.progress import Progress


@pytest.fixture
def atlas(digits, photos, index, tmp_path):
    """With the classes two, zero and one; ten labels of zero and of one."""
    made = Atlas(Settings(digits.model, digits.folder, tmp_path / "session"), Progress())
    made._photos, made._index, made._run = photos, index, digits.run
    made.store.add_class("two")
    for name, digit in (("zero", "0"), ("one", "1")):
        made.store.label(ten_of(digits, digit), made.store.add_class(name))
    yield made
    made.close()


def ten_of(digits, digit):
    return [path for path, truth in sorted(digits.truth.items()) if truth == digit][:10]


def while_fitting(monkeypatch, change):
    """Let something happen while the next classifier is fitted."""
    fit = predicting.fit_linear

    def fit_meanwhile(*arguments, **options):
        monkeypatch.setattr(predicting, "fit_linear", fit)
        change()
        return fit(*arguments, **options)

    monkeypatch.setattr(predicting, "fit_linear", fit_meanwhile)


@pytest.mark.parametrize("asked", ["predictions", "accuracy"])
def test_labels_set_while_a_classifier_is_fitted_count_from_the_next_one_on(atlas, digits, monkeypatch, asked):
    two, zero, one = atlas.store.classes()
    while_fitting(monkeypatch, lambda: atlas.store.label(ten_of(digits, "2"), two))
    before = getattr(atlas, asked)().labelled
    assert before.class_ids == (zero, one) and len(before.photos) == 20
    assert getattr(atlas, asked)().labelled.class_ids == (two, zero, one)


def test_suggestions_are_of_one_revision(atlas, digits, monkeypatch):
    two, asked, revision = next(iter(atlas.store.classes())), [], atlas.store.revision

    def suggested(*arguments):
        asked.extend(arguments)
        return np.arange(3), "rule"

    monkeypatch.setattr(suggesting, "suggested", suggested)
    while_fitting(monkeypatch, lambda: atlas.store.label(ten_of(digits, "2"), two))
    assert atlas.suggestions(3) == ([0, 1, 2], "rule")
    probabilities, has_label, seed = asked[2], asked[3], asked[-1]
    assert probabilities.shape[1] == 2 and len(has_label) == 20 and seed == revision


@pytest.mark.parametrize("change", ["label", "rename", "remove"])
def test_an_exported_classifier_has_the_class_names_of_its_own_labels(atlas, digits, monkeypatch, change):
    two, zero, _one = atlas.store.classes()
    changes = {
        "label": lambda: atlas.store.label(ten_of(digits, "2"), two),
        "rename": lambda: atlas.store.rename_class(zero, "nought"),
        "remove": lambda: atlas.store.remove_class(zero),
    }
    while_fitting(monkeypatch, changes[change])

    def convert(folder, output, *arguments, **options):
        output.write_bytes(b"converted")
        return SimpleNamespace(parity="equal")

    monkeypatch.setattr(sys.modules["bssl_tf.deploy.export"], "export", convert)
    assert atlas.export_classifier()["parity"] == "equal"
    written = json.loads((atlas.exports / "classifier" / "classifier.json").read_text())
    assert written["class_names"] == ["zero", "one"]
    assert written["facts"]["labelled images"] == 20 and " of 4 (95 %" in written["facts"]["held-out accuracy"]
