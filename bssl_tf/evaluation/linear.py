"""Linear evaluation: logistic regression on frozen features, the usual measure of a representation."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from bssl_tf.errors import UserError

REGULARISATION_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_SELECTION_IMAGES = 15_000
MAX_ITERATIONS = 300
HELD_OUT = 0.2


@dataclass(frozen=True)
class LinearResult:
    """Outcome of a linear evaluation.

    Attributes:
        accuracy: on the test images.
        train_accuracy: on the training images.
        C: inverse strength of the L2 penalty that did best on held-out training images.
        held_out_accuracy: accuracy there for each C tried.
        fits: logistic regressions that were fitted.
        unconverged: how many of them ran into the limit of iterations; 0 means all numbers are final.
    """

    accuracy: float
    train_accuracy: float
    C: float
    held_out_accuracy: dict[float, float]
    fits: int
    unconverged: int


def linear_accuracy(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, seed: int = 0
) -> LinearResult:
    """Fit logistic regression on standardised training features and score it on the test features.

    The penalty is chosen on a fifth of the training images (of 15 000 at most, drawn by class), never on
    the test images; the final fit sees all training images.

    Args:
        train_x: (n, D) features.
        train_y: (n,) classes.
        test_x: (m, D) features.
        test_y: (m,) classes.
        seed: of the draw.

    Raises:
        UserError: fewer than two classes, or a class with a single training image.
    """
    classes, counts = np.unique(train_y, return_counts=True)
    if len(classes) < 2:
        raise UserError(f"Linear evaluation needs two classes or more, but all training images are {classes.tolist()}.")
    if counts.min() < 2:
        raise UserError(
            f"Linear evaluation needs two training images of each class, but class {classes[counts.argmin()]}"
            " has one. Give more training images (--max_train_images)."
        )
    scaler = StandardScaler().fit(train_x)
    train_x, test_x = (scaler.transform(x).astype(np.float32) for x in (train_x, test_x))
    held_out_accuracy, unconverged = _held_out_accuracies(train_x, train_y, seed)
    best_c = max(held_out_accuracy, key=held_out_accuracy.get)
    classifier, converged = _fit(train_x, train_y, best_c)
    return LinearResult(
        accuracy=float(classifier.score(test_x, test_y)),
        train_accuracy=float(classifier.score(train_x, train_y)),
        C=best_c,
        held_out_accuracy=held_out_accuracy,
        fits=len(REGULARISATION_GRID) + 1,
        unconverged=unconverged + (not converged),
    )


def _held_out_accuracies(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[dict[float, float], int]:
    if len(x) > MAX_SELECTION_IMAGES:
        x, y = _draw(x, y, MAX_SELECTION_IMAGES, seed)
    held_out = max(round(HELD_OUT * len(x)), len(np.unique(y)))
    fit_x, held_x, fit_y, held_y = train_test_split(x, y, test_size=held_out, random_state=seed, stratify=y)
    accuracies, unconverged = {}, 0
    for c in REGULARISATION_GRID:
        classifier, converged = _fit(fit_x, fit_y, c)
        accuracies[c] = float(classifier.score(held_x, held_y))
        unconverged += not converged
    return accuracies, unconverged


def _draw(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many images, classes in proportion, at least two of each class."""
    random = np.random.default_rng(seed)
    share = count / len(x)
    chosen = []
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        chosen.append(random.choice(members, max(2, round(share * len(members))), replace=False))
    chosen = np.concatenate(chosen)
    return x[chosen], y[chosen]


def _fit(x: np.ndarray, y: np.ndarray, c: float) -> tuple[LogisticRegression, bool]:
    classifier = LogisticRegression(C=c, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(x, y)
    converged = True
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            converged = False
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return classifier, converged
