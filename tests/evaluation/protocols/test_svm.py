import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.training import ViewSettings
from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.base import Network, Task
from bssl_tf.evaluation.protocols.multilabel import average_precision
from bssl_tf.evaluation.protocols.svm import Svm, svm_accuracy
from bssl_tf.evaluation.results import summarise


def blobs(count, seed, spread=2.0, classes=4, width=12):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = np.random.default_rng(99).normal(size=(classes, width))
    return (centres[labels] + spread * random.normal(size=(count, width))).astype(np.float32), labels


def test_svm_is_scikit_learns_at_the_chosen_penalty_and_that_never_looks_at_the_test_set():
    (train_x, train_y), (test_x, test_y) = blobs(300, 0), blobs(200, 1)
    accuracy, details = svm_accuracy(train_x, train_y, test_x, test_y)
    expected = LinearSVC(C=details["C"], dual="auto", max_iter=1000, random_state=0).fit(train_x, train_y)
    assert accuracy == pytest.approx(expected.score(test_x, test_y)) and accuracy > 0.4
    assert details["held_out_accuracy"][details["C"]] == max(details["held_out_accuracy"].values())
    scrambled, other = svm_accuracy(train_x, train_y, test_x, np.roll(test_y, 1))
    assert other == details and scrambled != accuracy


def test_a_single_image_of_each_class_holds_nothing_out():
    (train_x, train_y), test = blobs(4, 0, spread=0.1), blobs(80, 1, spread=0.1)
    accuracy, details = svm_accuracy(train_x, train_y, *test)
    assert accuracy > 0.95 and details["C"] == 1.0 and details["held_out_accuracy"] == {}


def task(train, test):
    data = LabelledData("blobs", None, None, train[1], test[1], ("a", "b", "c", "d"))
    features = {"train": train[0], "test": test[0]}.__getitem__
    return Task(Network("n", "i", None), data, None, features, ViewSettings(), None, None, None)


def test_low_shot_has_so_many_draws_of_each_and_grows_with_shots():
    settings = EvaluationSettings(svm_shots="1,16", draws=4)
    protocol, given = Svm(settings), task(blobs(400, 0, spread=1.0), blobs(200, 1, spread=1.0))
    protocol.check(given.data)
    scores = [score.as_dict() for part in protocol.parts() for score in protocol.run(given, **part)]
    rows = {row.title: row for row in summarise([{"network": "n", "data_name": "d", "scores": scores}])}
    assert [row.draws for row in rows.values()] == [1, 4, 4] and [row.images for row in rows.values()] == [400, 4, 64]
    one, sixteen = rows["low-shot SVM, 1 a class"], rows["low-shot SVM, 16 a class"]
    values = [score["value"] for score in scores if score["labels"] == "1 a class"]
    assert one.deviation == pytest.approx(np.std(values, ddof=1)) and one.deviation > 0
    assert one.mean < sixteen.mean <= rows["SVM"].mean + 0.02


def test_more_shots_than_images_are_refused_before_any_compute():
    with pytest.raises(ValueError, match="--svm_shots: 96 training images of each class"):
        Svm(EvaluationSettings()).check(task(blobs(40, 0), blobs(8, 1)).data)


def naive_eleven_points(scores, positives):
    order, total, best = np.argsort(-scores), positives.sum(), []
    for recall in range(11):
        precisions = []
        for end in range(1, len(order) + 1):
            hits = positives[order[:end]].sum()
            if hits * 10 >= recall * total:
                precisions.append(hits / end)
        best.append(max(precisions))
    return np.mean(best)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn_and_of_voc(seed):
    random = np.random.default_rng(seed)
    positives = random.random(60) < 0.3
    scores = positives + random.normal(size=60)
    assert average_precision(scores, positives) == pytest.approx(average_precision_score(positives, scores))
    assert average_precision(scores, positives, True) == pytest.approx(naive_eleven_points(scores, positives))
    assert average_precision(positives.astype(float), positives, True) == 1.0
