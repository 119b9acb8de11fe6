"""Predictions from few labels, and how right they are."""

import functools
import operator

import numpy as np
import pytest

from bssl_tf.atlas import taking_home
from bssl_tf.atlas.predicting import labelled_photos, measure, predict, wilson_interval
from bssl_tf.atlas.store import Label
from tests.atlas.conftest import blobs

NAMES = {1: "ant", 2: "bee", 3: "cow", 4: "dog"}


def labels_of(classes, photos, source="picked"):
    return {f"{photo}.png": Label(int(classes[photo]) + 1, source) for photo in photos}


def test_predictions_come_from_few_labels_and_accuracy_from_others():
    features, classes = blobs(400)
    numbers = {f"{photo}.png": photo for photo in range(400)}
    labels = labels_of(classes, range(40))
    labelled = labelled_photos(labels | {"gone.png": Label(1, "picked")}, numbers, NAMES)
    assert labelled.enough and labelled.class_ids == (1, 2, 3, 4)
    for place in range(4):
        of_class = labelled.held_out[labelled.classes == place]
        assert of_class.sum() == max(1, round(0.2 * len(of_class)))
    predictions = predict(features, labelled)
    assert np.mean(predictions.classes == classes) > 0.97
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, rtol=1e-5)
    accuracy = measure(features, labelled)
    assert not accuracy.unbiased and set(accuracy.photos) == set(labelled.photos[labelled.held_out])
    report = accuracy.as_dict()
    assert report["overall"]["count"] == labelled.held_out.sum() == sum(map(sum, report["confusion"]))
    assert sorted(functools.reduce(operator.iadd, report["cells"].values(), [])) == sorted(accuracy.photos)


def test_random_checks_alone_measure_and_are_not_trained_on():
    features, classes = blobs(400)
    wrong = (classes + 1) % 4  # so that training on the checks would show
    numbers = {f"{photo}.png": photo for photo in range(400)}
    labels = labels_of(classes, range(40)) | labels_of(wrong, range(40, 60), "check")
    labelled = labelled_photos(labels, numbers, NAMES)
    assert labelled.held_out[labelled.checks].all()
    accuracy = measure(features, labelled)
    assert accuracy.unbiased and set(accuracy.photos) == set(range(40, 60))
    assert accuracy.as_dict()["overall"]["right"] == 0


def test_random_checks_of_classes_that_are_not_trained_on_count_as_wrong():
    features, classes = blobs(400)
    numbers = {f"{photo}.png": photo for photo in range(400)}
    ants_and_bees = [photo for photo in range(40) if classes[photo] < 2]
    labels = labels_of(classes, ants_and_bees) | labels_of(classes, range(40, 400), "check")
    labels |= {f"{(classes == 2).argmax()}.png": Label(3, "picked")}  # one is too few
    labelled = labelled_photos(labels, numbers, NAMES | {5: "elk"})
    assert labelled.class_ids == (1, 2) and set(labelled.untrained) == {3, 4, 5}
    accuracy = measure(features, labelled)
    report, known = accuracy.as_dict(), int((classes[40:] < 2).sum())
    assert accuracy.unbiased and sorted(accuracy.photos) == list(range(40, 400))
    assert report["overall"]["count"] == 360 and 0.95 * known < report["overall"]["right"] <= known < 200
    assert report["rows"] == (1, 2, 3, 4) and report["class_ids"] == (1, 2) and report["untrained"] == (3, 4, 5)
    assert [sum(row) for row in report["confusion"]] == np.bincount(classes[40:]).tolist()
    assert [len(row) for row in report["confusion"]] == [2] * 4
    assert report["per_class"][4]["right"] == 0 and report["per_class"][4]["count"] == (classes[40:] == 3).sum()
    assert {classes[photo] for given in (1, 2) for photo in report["cells"].get(f"3-{given}", ())} == {2}
    words = taking_home.accuracy_in_words(accuracy)
    assert words.startswith(f"{report['overall']['right']} of 360 (95 % interval ")
    assert "of the photos that had no label when they were drawn" in words
    assert words.endswith("too few labels to train on: cow, dog, elk, whose checks count as wrong)")


def test_checks_of_classes_that_are_not_trained_on_alone_are_measured():
    features, classes = blobs(400)
    numbers = {f"{photo}.png": photo for photo in range(400)}
    others = [photo for photo in range(60) if classes[photo] > 1][:7]
    labels = labels_of(classes, [photo for photo in range(40) if classes[photo] < 2])
    accuracy = measure(features, labelled_photos(labels, numbers, NAMES))
    assert not accuracy.unbiased and accuracy.as_dict()["rows"] == (1, 2)
    assert taking_home.accuracy_in_words(accuracy).endswith(
        "not a random sample; too few labels to train on: cow, dog)"
    )
    accuracy = measure(features, labelled_photos(labels | labels_of(classes, others, "check"), numbers, NAMES))
    assert accuracy.unbiased and accuracy.overall()["right"] == 0 and accuracy.overall()["count"] == 7


def test_too_few_labels_give_no_predictions():
    numbers = {f"{photo}.png": photo for photo in range(9)}
    assert not labelled_photos({}, numbers, NAMES).enough
    assert not labelled_photos(labels_of([0, 0, 1], range(3)), numbers, NAMES).enough
    labelled = labelled_photos(labels_of([0, 0, 1, 1], range(4)), numbers, NAMES)
    assert labelled.enough and measure(blobs(9)[0], labelled) is None


@pytest.mark.parametrize("right, count, low, high", [(0, 0, 0, 1), (0, 10, 0, 0.2775), (9, 10, 0.5958, 0.9821)])
def test_wilson_interval(right, count, low, high):
    np.testing.assert_allclose(wilson_interval(right, count), (low, high), atol=1e-4)
