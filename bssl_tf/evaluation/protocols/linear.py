"""Linear evaluation: logistic regression on frozen features, the usual measure of a representation."""

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bssl_tf.config.evaluation import ALL_LABELS
from bssl_tf.errors import UserError
from bssl_tf.evaluation.labelled_data import LabelledData, confusion_of
from bssl_tf.evaluation.protocols.base import Protocol, Score, Task
from bssl_tf.evaluation.protocols.multilabel import check_multilabels, multilabel_linear
from bssl_tf.evaluation.protocols.penalty_search import choose_penalty, limited_threads
from bssl_tf.evaluation.subsets import check_amount, draws_of, in_words, saved_subset
from bssl_tf.runs import EvaluationFolder

REGULARISATION_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MAX_ITERATIONS = 300
_SOUND = 0.9
"""Share of its held-out accuracy that a fit must reach on its own training images. Under a very large penalty it may
fail: classes with an image more than the others then win everywhere, which held-out parts of equal size do not show."""


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
    confusion: list[list[int]] | None


@dataclass(frozen=True)
class LinearFit:
    """A logistic regression on standardised features, its penalty chosen on held-out training images.

    Attributes:
        scaler: standardises features.
        classifier: on standardised features.
        C, held_out_accuracy, fits, unconverged: as in `LinearResult`.
    """

    scaler: StandardScaler
    classifier: LogisticRegression
    C: float
    held_out_accuracy: dict[float, float]
    fits: int
    unconverged: int

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Classes (n,) of features (n, D)."""
        return self.classifier.predict(_scaled(self.scaler, x))

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean(self.predict(x) == y))

    def dense(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Kernel (D, classes) and bias (classes,), float32, that give the same classes on features as they are.

        A class that no training image had gets the least bias of all.
        """
        columns, bias = self.classifier.coef_.T, self.classifier.intercept_
        if len(self.classifier.classes_) == 2:  # scikit-learn has one column for both
            columns, bias = columns * [-0.5, 0.5], bias * [-0.5, 0.5]
        columns = columns / self.scaler.scale_[:, np.newaxis]
        bias = bias - self.scaler.mean_ @ columns
        kernel, biases = np.zeros((len(columns), classes), np.float32), np.full(classes, bias.min(), np.float32)
        kernel[:, self.classifier.classes_], biases[self.classifier.classes_] = columns, bias
        return kernel, biases


def fit_linear(x: np.ndarray, y: np.ndarray, seed: int = 0, scale_of: np.ndarray | None = None) -> LinearFit:
    """Fit logistic regression on standardised features.

    The penalty is chosen on a fifth of the images (see `selection.choose_penalty`); the final fit sees all. Where it
    collapses, the next smaller penalty is taken.

    Args:
        x: (n, D) features of training images.
        y: (n,) classes 0 … C-1.
        seed: of the images held out.
        scale_of: (N, D) features that mean and standard deviation are taken of, those of unlabelled images, say;
            `x` by default.

    Raises:
        UserError: fewer than two classes.
    """
    classes = np.unique(y)
    if len(classes) < 2:
        raise UserError(f"Linear evaluation needs two classes or more, but all training images are {classes.tolist()}.")
    scaler = StandardScaler().fit(x if scale_of is None else scale_of)
    x, converged = _scaled(scaler, x), []

    def fit(c: float, places: np.ndarray | slice) -> LogisticRegression:
        classifier, well = _fit(x[places], y[places], c)
        converged.append(well)
        return classifier

    with limited_threads(x):
        best_c, held_out_accuracy = choose_penalty(
            lambda c, fitted, held: float(fit(c, fitted).score(x[held], y[held])), y, REGULARISATION_GRID, seed
        )
        classifier = fit(best_c, slice(None))
        expected = _SOUND * held_out_accuracy.get(best_c, 0.0)  # of too few images nothing was held out
        for c in (c for c in REGULARISATION_GRID if c > best_c):
            if classifier.score(x, y) >= expected:
                break
            best_c, classifier = c, fit(c, slice(None))
    return LinearFit(scaler, classifier, best_c, held_out_accuracy, len(converged), converged.count(False))


def linear_accuracy(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    seed: int = 0,
    scale_of: np.ndarray | None = None,
) -> LinearResult:
    """`fit_linear` on training features, scored on the test features (m, D) with classes (m,)."""
    fit = fit_linear(train_x, train_y, seed, scale_of)
    given = fit.predict(test_x)
    return LinearResult(
        accuracy=float(np.mean(given == test_y)),
        train_accuracy=fit.accuracy(train_x, train_y),
        C=fit.C,
        held_out_accuracy=fit.held_out_accuracy,
        fits=fit.fits,
        unconverged=fit.unconverged,
        confusion=confusion_of(test_y, given, int(train_y.max()) + 1),
    )


def _scaled(scaler: StandardScaler, x: np.ndarray) -> np.ndarray:
    return scaler.transform(x).astype(np.float32)


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
    """Accuracy of logistic regression on features; mean average precision where images have several labels."""

    name = "linear"
    several_labels = True
    parts_from = ("labels", "draws")
    version = 2  # 1 could end with a penalty under which the larger classes win everywhere

    def parts(self) -> list[dict[str, Any]]:
        return draws_of(self.settings.amounts, self.settings.draws)

    def check(self, data: LabelledData) -> None:
        if data.several_labels:
            if self.settings.amounts != (ALL_LABELS,):
                raise UserError(
                    f"--labels={self.settings.labels}: images of {data.name} have several labels, of which linear uses "
                    "all; few labels are for --protocols=svm (--svm_shots)."
                )
            check_multilabels(data.train_labels, data.test_labels, data.class_names)
            return
        for amount in self.settings.amounts:
            check_amount(amount, data.train_labels)

    def run(self, task: Task, *, amount: str, draw: int) -> list[Score]:
        data, seed = task.data, self.settings.seed + draw
        if data.several_labels:
            several = multilabel_linear(
                task.features("train"), data.train_labels, task.features("test"), data.test_labels
            )
            value, details = several.mean_average_precision, several.details()
            return [Score("linear mAP", value, len(data.train_labels), details=details)]
        folder = task.folder and EvaluationFolder(task.folder).subsets
        chosen = saved_subset(folder, data.name, data.train_fingerprint, data.train_labels, amount, seed)
        train_x = task.features("train")
        result = linear_accuracy(
            train_x[chosen], data.train_labels[chosen], task.features("test"), data.test_labels, seed, scale_of=train_x
        )
        return [Score("linear", result.accuracy, len(chosen), in_words(amount), details=asdict(result))]
