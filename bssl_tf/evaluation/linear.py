"""Linear evaluation: logistic regression on frozen features, the usual measure of a representation."""

import warnings
from dataclasses import asdict, dataclass
from typing import Optional

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bssl_tf.errors import UserError
from bssl_tf.evaluation.labelled import LabelledData, confusion_of
from bssl_tf.evaluation.protocol import Protocol, Score, Task
from bssl_tf.evaluation.selection import choose_penalty
from bssl_tf.evaluation.subsets import check_amount, draws_of, in_words, saved_subset

REGULARISATION_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_ITERATIONS = 300


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
        confusion: as `labelled.confusion_of`.
    """

    accuracy: float
    train_accuracy: float
    C: float
    held_out_accuracy: dict[float, float]
    fits: int
    unconverged: int
    confusion: Optional[list[list[int]]]


def linear_accuracy(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    seed: int = 0,
    scale_of: Optional[np.ndarray] = None,
) -> LinearResult:
    """Fit logistic regression on standardised training features and score it on the test features.

    The penalty is chosen on a fifth of the training images (see `selection.choose_penalty`), never on the test
    images; the final fit sees all training images.

    Args:
        train_x: (n, D) features.
        train_y: (n,) classes 0 … C-1.
        test_x: (m, D) features.
        test_y: (m,) classes.
        seed: of the images held out.
        scale_of: (N, D) features that mean and standard deviation are taken of, those of unlabelled images, say;
            the training features by default.

    Raises:
        UserError: fewer than two classes.
    """
    classes = np.unique(train_y)
    if len(classes) < 2:
        raise UserError(f"Linear evaluation needs two classes or more, but all training images are {classes.tolist()}.")
    scaler = StandardScaler().fit(train_x if scale_of is None else scale_of)
    train_x, test_x = (scaler.transform(x).astype(np.float32) for x in (train_x, test_x))
    converged = []

    def fit(c: float, places) -> LogisticRegression:
        classifier, well = _fit(train_x[places], train_y[places], c)
        converged.append(well)
        return classifier

    best_c, held_out_accuracy = choose_penalty(
        lambda c, fitted, held: float(fit(c, fitted).score(train_x[held], train_y[held])),
        train_y,
        REGULARISATION_GRID,
        seed,
    )
    classifier = fit(best_c, slice(None))
    return LinearResult(
        accuracy=float(classifier.score(test_x, test_y)),
        train_accuracy=float(classifier.score(train_x, train_y)),
        C=best_c,
        held_out_accuracy=held_out_accuracy,
        fits=len(converged),
        unconverged=converged.count(False),
        confusion=confusion_of(test_y, classifier.predict(test_x), int(train_y.max()) + 1),
    )


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


class Linear(Protocol):
    name = "linear"

    def parts(self):
        return draws_of(self.settings.amounts, self.settings.draws)

    def check(self, data: LabelledData) -> None:
        for amount in self.settings.amounts:
            check_amount(amount, data.train_labels)

    def run(self, task: Task, *, amount: str, draw: int) -> list[Score]:
        data, seed = task.data, self.settings.seed + draw
        folder = task.folder and task.folder / "subsets"
        chosen = saved_subset(folder, data.name, data.train_fingerprint, data.train_labels, amount, seed)
        train_x = task.features("train")
        result = linear_accuracy(
            train_x[chosen], data.train_labels[chosen], task.features("test"), data.test_labels, seed, scale_of=train_x
        )
        return [Score("linear", result.accuracy, len(chosen), in_words(amount), details=asdict(result))]
