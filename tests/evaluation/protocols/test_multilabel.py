"""Several labels an image: mAP against scikit-learn, few images, labels from TFDS-like sources and from a CSV file."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.data import DataError
from bssl_tf.data.sources import folder
from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.linear import Linear
from bssl_tf.evaluation.protocols.multilabel import (
    COSTS,
    few_images,
    multilabel_linear,
    multilabel_svm,
)
from bssl_tf.evaluation.protocols.svm import Svm


@pytest.fixture(scope="module")
def images():
    """Features and labels of 300 training and 150 test images; classes are directions, some images have several."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(12, 3))

    def some(count):
        x = random.normal(size=(count, 12))
        labels = (x @ directions + 0.5 * random.normal(size=(count, 3))) > 1.0
        return x.astype(np.float32), labels.astype(np.int8)

    train, test = some(300), some(150)
    assert (train[1].sum(axis=1) > 1).any()
    return *train, *test


def test_the_svm_is_that_of_the_benchmark(images):
    train_x, train_y, test_x, test_y = images
    result = multilabel_svm(train_x, train_y, test_x, test_y, eleven_points=False)
    assert result.mean_average_precision > 0.85
    for label in range(3):

        def svm(c):
            return LinearSVC(C=c, class_weight={1: 2, 0: 1}, dual="auto", max_iter=2000, random_state=0)

        x, y = normalize(train_x), train_y[:, label]
        means = [
            cross_val_score(svm(c), x, y, cv=StratifiedKFold(3), scoring="average_precision").mean() for c in COSTS
        ]
        assert result.C[label] == COSTS[int(np.argmax(means))]
        scores = svm(result.C[label]).fit(x, y).decision_function(normalize(test_x))
        assert result.average_precision[label] == pytest.approx(average_precision_score(test_y[:, label], scores))


def test_labels_that_have_nothing_to_do_with_the_images_are_not_learned(images):
    train_x, train_y, test_x, test_y = images
    shuffled = np.random.default_rng(1).permutation(train_y)
    for fit in (multilabel_svm, multilabel_linear):
        assert fit(train_x, shuffled, test_x, test_y, eleven_points=False).mean_average_precision < 0.6
    assert multilabel_linear(*images, eleven_points=False).mean_average_precision > 0.85


def test_images_that_do_not_count_for_a_class_change_nothing(images):
    train_x, train_y, test_x, test_y = images
    more_x = np.concatenate([test_x, 100 * test_x[:20]])
    more_y = np.concatenate([test_y, np.full((20, 3), -1, np.int8)])
    plain, with_ignored = (multilabel_svm(train_x, train_y, x, y) for x, y in ((test_x, test_y), (more_x, more_y)))
    assert plain == with_ignored


def test_few_images_are_k_positive_ones_and_k_for_each_other_class(images):
    labels = images[1][:, 0].copy()
    labels[:5] = -1
    chosen = few_images(labels, 4, classes=3, seed=0)
    assert (labels[chosen] == 1).sum() == 4 and (labels[chosen] == 0).sum() == 8
    assert not np.array_equal(chosen, few_images(labels, 4, classes=3, seed=1))
    with pytest.raises(ValueError, match="fewer than 500"):
        few_images(labels, 500, classes=3, seed=0)


def test_protocols_report_mean_average_precision(images):
    train_x, train_y, test_x, test_y = images
    data = LabelledData("three", None, None, train_y, test_y, ("a", "b", "c"))
    features = {"train": train_x, "test": test_x}.get
    settings = EvaluationSettings(svm_shots="1,8", draws=2)
    task = type("Task", (), {"data": data, "features": staticmethod(features)})
    svm, linear = Svm(settings), Linear(settings)
    for protocol in (svm, linear):
        protocol.check(data)
    scores = [score for part in svm.parts() for score in svm.run(task, **part)]
    by_measure = {(score.measure, score.labels): score.value for score in scores}
    assert set(by_measure) == {
        ("SVM mAP", ""),
        ("low-shot SVM mAP", "1 a class"),
        ("low-shot SVM mAP", "8 a class"),
    }
    assert by_measure["low-shot SVM mAP", "1 a class"] < by_measure["SVM mAP", ""]
    assert by_measure["SVM mAP", ""] == multilabel_svm(*images).mean_average_precision
    (score,) = linear.run(task, amount="100%", draw=0)
    assert score.measure == "linear mAP" and score.value > 0.8
    few = Linear(dataclasses.replace(settings, labels="10%"))
    with pytest.raises(ValueError, match="--labels=10%"):
        few.check(data)


def test_classes_that_cannot_be_learned_are_named():
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.zeros((20, 2), bool)
    y[:10, 0] = True
    with pytest.raises(ValueError, match="Class 1 has 0 positive training images"):
        multilabel_svm(x, y, x, y)


@pytest.fixture
def photos(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for number in range(2):
            Image.new("L", (16, 16), 40 * number).save(tmp_path / split / f"{number}.png")
    rows = ["file,labels", "train/0.png,dog;person", "train/1.png,", "test/0.png,car", "test/1.png,dog"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path


def test_a_csv_file_labels_a_folder(photos):
    train, test = (folder.load(photos, split, holdout=0.1, progress=False) for split in ("train", "test"))
    assert train.multi_labels.class_names == test.multi_labels.class_names == ("car", "dog", "person")
    by_name = dict(zip(train.paths, train.multi_labels.values.tolist(), strict=True))
    assert by_name == {"0.png": [0, 1, 1], "1.png": [0, 0, 0]}
    assert train.labels is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("file;labels", "must begin with"),
        ("file,labels\ntrain/0.png,dog,cat", "line 2: 'train/0.png' has 3 fields"),
        ("file,labels\ntrain/0.png,dog\ntrain/0.png,cat", "line 3: 'train/0.png' is there twice"),
        ("file,labels\ntrain/0.png,dog", "3 images have no row"),
        ("file,labels\ntrain/0.png,", "names no class"),
        (
            "file,labels\ntrain/0.png,a\ntrain/1.png,\ntest/0.png,a\ntest/1.png,a\ntest/2.png,a",
            r"1 rows have no image \(test/2.png",
        ),
    ],
)
def test_csv_files_that_cannot_be_used_are_refused(photos, rows, message):
    (photos / "labels.csv").write_text(rows)
    with pytest.raises(DataError, match=message):
        folder.load(photos, "train", holdout=0.1, progress=False)
