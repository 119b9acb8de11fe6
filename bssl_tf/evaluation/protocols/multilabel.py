"""Images with several labels, as in the VOC07 benchmark: a linear classifier a class, and mean average precision.

The support vector machines are those of https://arxiv.org/abs/1905.01235: features of unit length, twice the weight for
positive images, squared hinge loss, the cost of each class chosen among powers of ten by average precision in threefold
cross-validation. Low-shot: k positive images of a class, and k negative ones for each other class; where k is too small
for cross-validation, the cost is 1.

    result = multilabel_svm(train_x, train_labels, test_x, test_labels)
    result.mean_average_precision

Labels are 1, 0, or -1 where an image does not count for a class (VOC's difficult objects).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC

from bssl_tf.errors import UserError
from bssl_tf.evaluation.protocols.penalty_search import limited_threads

COSTS = tuple(10.0**power for power in range(-7, 3))
FOLDS = 3
FEW_IMAGES_COST = 1.0
POSITIVE_WEIGHT = 2.0
REGULARISATION_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_MAX_ITERATIONS = 2000


@dataclass(frozen=True)
class MultilabelResult:
    """Attributes:
    average_precision: of each class.
    C: cost, or inverse penalty, of each class.
    """

    average_precision: tuple[float, ...]
    C: tuple[float, ...]

    @property
    def mean_average_precision(self) -> float:
        """Over the classes, in 0..1."""
        return float(np.mean(self.average_precision))

    def details(self) -> dict[str, Any]:
        """For the results, as JSON can hold it."""
        return {"average_precision": list(self.average_precision), "C": list(self.C)}


def average_precision(scores: np.ndarray, positives: np.ndarray, eleven_points: bool = False) -> float:
    """How well scores rank the positives first.

    Args:
        scores: (m,), higher is surer.
        positives: (m,) bool.
        eleven_points: the measure of VOC up to 2009: mean, over recalls 0, 0.1, … 1, of the best precision at that
            recall or a higher one. Otherwise the area under the curve of precision over recall, as steps.

    Raises:
        UserError: no positive.
    """
    positives = np.asarray(positives, bool)
    if not positives.any():
        raise UserError("Average precision needs a positive test image of every class.")
    if not eleven_points:
        return float(average_precision_score(positives, scores))
    found = np.cumsum(positives[np.argsort(-scores, kind="stable")])
    precision, recall = found / np.arange(1, len(found) + 1), found / found[-1]
    recalls = np.arange(11) / 10 - 1e-9  # 3 / 10 of a recall may be computed a bit lower than 0.3
    return float(np.mean([precision[recall >= least].max() for least in recalls]))


def check_multilabels(train_labels: np.ndarray, test_labels: np.ndarray, class_names: tuple[str, ...] = ()) -> None:
    """Raises UserError: a class has fewer than two positive or negative training images, or no positive test image."""
    positives, negatives = ((np.asarray(train_labels) == value).sum(axis=0) for value in (1, 0))
    tested = (np.asarray(test_labels) == 1).sum(axis=0)
    for place in np.flatnonzero((positives < 2) | (negatives < 2) | (tested == 0)):
        name = class_names[place] if class_names else f"Class {place}"
        raise UserError(
            f"{name} has {positives[place]} positive training images of {len(train_labels)} and {tested[place]} "
            "positive test images; two of either kind and one are needed. Leave it out, or use more images."
        )


def multilabel_svm(
    train_x: np.ndarray,
    train_labels: np.ndarray,
    test_x: np.ndarray,
    test_labels: np.ndarray,
    *,
    eleven_points: bool = True,
    shots: int | None = None,
    seed: int = 0,
) -> MultilabelResult:
    """A support vector machine for each class.

    Args:
        train_x: (n, D) features.
        train_labels: (n, C) of 1, 0 and -1 (or bool), any number of classes an image.
        test_x: (m, D) features.
        test_labels: (m, C) likewise.
        eleven_points: see `average_precision`.
        shots: k, positive images of each class; None: all images.
        seed: of the images drawn.

    Raises:
        UserError: as `check_multilabels`, or a class has fewer than `shots` positive images.
    """
    check_multilabels(train_labels, test_labels)
    train_x, test_x = normalize(train_x), normalize(test_x)

    def fit(x: np.ndarray, y: np.ndarray) -> tuple[LinearSVC, float]:
        cost = _cost(x, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return _svm(cost).fit(x, y), cost

    return _each_class(fit, train_x, train_labels, test_x, test_labels, eleven_points, shots, seed)


def multilabel_linear(
    train_x: np.ndarray,
    train_labels: np.ndarray,
    test_x: np.ndarray,
    test_labels: np.ndarray,
    *,
    eleven_points: bool = True,
) -> MultilabelResult:
    """Logistic regression for each class on standardised features, its penalty chosen as the cost of the SVM is.

    Arguments and errors as of `multilabel_svm`.
    """
    check_multilabels(train_labels, test_labels)
    scaler = StandardScaler().fit(train_x)

    def fit(x: np.ndarray, y: np.ndarray) -> tuple[LogisticRegression, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = _best_of(REGULARISATION_GRID, lambda c: LogisticRegression(C=c, max_iter=300), x, y)
            return LogisticRegression(C=best, max_iter=300).fit(x, y), best

    train_x, test_x = scaler.transform(train_x), scaler.transform(test_x)
    with limited_threads(train_x):
        return _each_class(fit, train_x, train_labels, test_x, test_labels, eleven_points, None, 0)


def _each_class(
    fit: Callable[[np.ndarray, np.ndarray], tuple[Any, float]],
    train_x: np.ndarray,
    train_labels: np.ndarray,
    test_x: np.ndarray,
    test_labels: np.ndarray,
    eleven_points: bool,
    shots: int | None,
    seed: int,
) -> MultilabelResult:
    train_labels, test_labels = (np.asarray(labels, np.int8) for labels in (train_labels, test_labels))
    precisions, chosen = [], []
    for label in range(train_labels.shape[1]):
        places = np.flatnonzero(train_labels[:, label] >= 0)
        if shots is not None:
            places = few_images(train_labels[:, label], shots, train_labels.shape[1], seed + label)
        classifier, c = fit(train_x[places], train_labels[places, label])
        counted = test_labels[:, label] >= 0
        scores = classifier.decision_function(test_x[counted])
        precisions.append(average_precision(scores, test_labels[counted, label] == 1, eleven_points))
        chosen.append(c)
    return MultilabelResult(tuple(precisions), tuple(chosen))


def few_images(labels: np.ndarray, shots: int, classes: int, seed: int) -> np.ndarray:
    """Places of k positive images, and of k negative ones for each other class, as far as there are so many.

    Args:
        labels: (n,) of 1, 0 and -1.
        shots: k.
        classes: number of classes.
        seed: of the draw.

    Raises:
        UserError: fewer than k positive images.
    """
    random = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    if len(positives) < shots:
        raise UserError(
            f"--svm_shots: a class has {len(positives)} positive training images, fewer than {shots}: give smaller "
            "numbers, or more images."
        )
    few = random.choice(negatives, min(len(negatives), max(1, classes - 1) * shots), replace=False)
    return np.sort(np.concatenate([random.choice(positives, shots, replace=False), few]))


def _svm(cost: float) -> LinearSVC:
    weights = {1: POSITIVE_WEIGHT, 0: 1.0}
    return LinearSVC(C=cost, class_weight=weights, dual="auto", max_iter=_MAX_ITERATIONS, random_state=0)


def _cost(x: np.ndarray, y: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _best_of(COSTS, _svm, x, y)


def _best_of(grid: tuple[float, ...], classifier: Callable[[float], Any], x: np.ndarray, y: np.ndarray) -> float:
    """The value with the best average precision in cross-validation; the first of equals."""
    if np.bincount(y, minlength=2).min() < FOLDS:
        return FEW_IMAGES_COST
    folds = StratifiedKFold(FOLDS)
    means = [cross_val_score(classifier(c), x, y, cv=folds, scoring="average_precision").mean() for c in grid]
    return float(grid[int(np.argmax(means))])
