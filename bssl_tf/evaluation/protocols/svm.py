"""Linear support vector machines on frozen features: all labels, few labels.

As in https://arxiv.org/abs/1905.01235: one against the rest, C chosen on held-out training images. What differs:
features are standardised, and C is held-out instead of cross-validated. Images with several labels: see `multilabel`.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.base import Protocol, Score, Task
from bssl_tf.evaluation.protocols.multilabel import check_multilabels, few_images, multilabel_svm
from bssl_tf.evaluation.protocols.penalty_search import choose_penalty
from bssl_tf.evaluation.subsets import per_class_subset

PENALTY_GRID = (1e-4, 1e-3, 1e-2, 1e-1)
MAX_ITERATIONS = 1000


def fit_svm(x: np.ndarray, y: np.ndarray, c: float) -> LinearSVC:
    """One linear SVM a class, against the rest. Places of both classes are needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported by n_iter_
        return LinearSVC(C=c, dual="auto", max_iter=MAX_ITERATIONS, random_state=0).fit(x, y)


def svm_accuracy(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, seed: int = 0
) -> tuple[float, dict]:
    """Fit on (standardised) training features, score on test features.

    Args:
        train_x: (n, D) features.
        train_y: (n,) classes.
        test_x: (m, D) features.
        test_y: (m,) classes.
        seed: of the images held out to choose C.

    Returns:
        Accuracy, and how it came about: C, its held-out accuracies, whether the fit converged.
    """
    c, held_out_accuracy = choose_penalty(
        lambda c, fit, held: float(fit_svm(train_x[fit], train_y[fit], c).score(train_x[held], train_y[held])),
        train_y,
        PENALTY_GRID,
        seed,
    )
    classifier = fit_svm(train_x, train_y, c)
    details = {"C": c, "held_out_accuracy": held_out_accuracy, "converged": bool(classifier.n_iter_ < MAX_ITERATIONS)}
    return float(classifier.score(test_x, test_y)), details


class Svm(Protocol):
    """Accuracy of linear SVMs on all labels and on few; mean average precision where images have several labels."""

    name = "svm"
    several_labels = True
    parts_from = ("svm_shots", "draws")

    def parts(self) -> list[dict[str, Any]]:
        low_shot = [{"shots": k, "draw": draw} for k in self.settings.shots for draw in range(self.settings.draws)]
        return [{"shots": None, "draw": 0}, *low_shot]

    def check(self, data: LabelledData) -> None:
        if data.several_labels:
            check_multilabels(data.train_labels, data.test_labels, data.class_names)
            for labels in data.train_labels.T if self.settings.shots else ():
                few_images(labels, max(self.settings.shots), data.classes, self.settings.seed)
        elif self.settings.shots:
            per_class_subset(data.train_labels, max(self.settings.shots), self.settings.seed)

    def run(self, task: Task, *, shots: int | None, draw: int) -> list[Score]:
        data, seed = task.data, self.settings.seed + draw
        if data.several_labels:
            return [_multilabel_score(task, shots, seed)]
        scaler = StandardScaler().fit(task.features("train"))
        train_x, test_x = (scaler.transform(task.features(split)).astype(np.float32) for split in ("train", "test"))
        if shots is None:
            accuracy, details = svm_accuracy(train_x, data.train_labels, test_x, data.test_labels, seed)
            return [Score("SVM", accuracy, len(train_x), details=details)]
        chosen = per_class_subset(data.train_labels, shots, seed)
        accuracy, details = svm_accuracy(train_x[chosen], data.train_labels[chosen], test_x, data.test_labels, seed)
        return [Score("low-shot SVM", accuracy, len(chosen), f"{shots} a class", headline=False, details=details)]


def _multilabel_score(task: Task, shots: int | None, seed: int) -> Score:
    data = task.data
    result = multilabel_svm(
        task.features("train"), data.train_labels, task.features("test"), data.test_labels, shots=shots, seed=seed
    )
    value, details = result.mean_average_precision, result.details()
    if shots is None:
        return Score("SVM mAP", value, len(data.train_labels), details=details)
    return Score("low-shot SVM mAP", value, shots, f"{shots} a class", headline=False, details=details)
