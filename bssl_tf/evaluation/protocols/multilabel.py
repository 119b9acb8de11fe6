"""Images with several labels, as in VOC07: linear SVMs and mean average precision.

The data sources of this package have one label an image, so this part has no flag; it takes features and a matrix:

    train_x = extract_features(backbone, train_images)             # evaluation/features.py
    result = multilabel_svm(train_x, train_labels, test_x, test_labels)
    result.mean_average_precision
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from bssl_tf.errors import UserError
from bssl_tf.evaluation.protocols.penalty_search import choose_penalty
from bssl_tf.evaluation.protocols.svm import PENALTY_GRID, fit_svm


@dataclass(frozen=True)
class MultilabelResult:
    """Attributes:
    average_precision: of each class.
    C: chosen for each class.
    """

    average_precision: tuple[float, ...]
    C: tuple[float, ...]

    @property
    def mean_average_precision(self) -> float:
        return float(np.mean(self.average_precision))


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


def multilabel_svm(
    train_x: np.ndarray,
    train_labels: np.ndarray,
    test_x: np.ndarray,
    test_labels: np.ndarray,
    *,
    eleven_points: bool = True,
    seed: int = 0,
) -> MultilabelResult:
    """An SVM for each class on standardised features; C of each by average precision on held-out training images.

    Args:
        train_x: (n, D) features.
        train_labels: (n, C) bool, any number of classes an image.
        test_x: (m, D) features.
        test_labels: (m, C) bool.
        eleven_points: see `average_precision`.
        seed: of the images held out.

    Raises:
        UserError: a class has fewer than two positive or negative training images, or no positive test image.
    """
    train_labels, test_labels = np.asarray(train_labels, bool), np.asarray(test_labels, bool)
    positives = train_labels.sum(axis=0)
    for place in np.flatnonzero((positives < 2) | (len(train_labels) - positives < 2) | ~test_labels.any(axis=0)):
        raise UserError(
            f"Class {place} has {positives[place]} positive training images of {len(train_labels)} and "
            f"{test_labels[:, place].sum()} positive test images; two of either kind and one are needed. Leave it out."
        )
    scaler = StandardScaler().fit(train_x)
    train_x, test_x = scaler.transform(train_x), scaler.transform(test_x)
    precisions, chosen = [], []
    for train_y, test_y in zip(train_labels.T, test_labels.T, strict=True):

        def held_out_precision(c: float, fit: np.ndarray, held: np.ndarray, y: np.ndarray = train_y) -> float:
            scores = fit_svm(train_x[fit], y[fit], c).decision_function(train_x[held])
            return average_precision(scores, y[held], eleven_points)

        c, _ = choose_penalty(held_out_precision, train_y, PENALTY_GRID, seed)
        scores = fit_svm(train_x, train_y, c).decision_function(test_x)
        precisions.append(average_precision(scores, test_y, eleven_points))
        chosen.append(c)
    return MultilabelResult(tuple(precisions), tuple(chosen))
