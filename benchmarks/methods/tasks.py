"""What else frozen features are good for: few labels, few images of a class, images of another kind."""

from collections.abc import Callable

import numpy as np
from sklearn.preprocessing import StandardScaler

from bssl_tf.evaluation.protocols.knn import knn_accuracy
from bssl_tf.evaluation.protocols.linear import linear_accuracy
from bssl_tf.evaluation.protocols.svm import svm_accuracy
from bssl_tf.evaluation.subsets import balanced_subset, count_of, per_class_subset

Labelled = tuple[np.ndarray, np.ndarray]
"""Features (n, width), classes (n,)."""

SHARES = ("1%", "10%")
SHOTS = (1, 4, 16)
DRAWS = 3
TASKS = {
    **{f"{share} of labels": f"linear, {share} of the labels" for share in SHARES},
    **{f"SVM, {shots}": f"SVM, {shots} a class" for shots in SHOTS},
    "digits, 20-NN": "digits, 20-NN",
    "digits, linear": "digits, linear",
    "digits, 10%": "digits, linear, 10% of the labels",
}
"""Name in the records → title of its column."""
OWN_NEIGHBOURS = "20-NN among its own training images"
"""A teacher's only task: it may have learnt from more images than the students have."""


def few_labels(train: Labelled, test: Labelled) -> dict[str, list[float]]:
    """Accuracy on the test images of classifiers that know some labels of the student's training images, each draw.

    Linear: logistic regression on a share of the labels, equally many of each class. SVM: one against the rest, on so
    many images of each class. Features are standardised by all training images, which takes no label.
    """
    (train_x, train_y), (test_x, test_y) = train, test
    scaler = StandardScaler().fit(train_x)
    scaled, scaled_test = (scaler.transform(x).astype(np.float32) for x in (train_x, test_x))

    def linear(share: str, seed: int) -> float:
        places = balanced_subset(train_y, share, seed)
        return linear_accuracy(train_x[places], train_y[places], test_x, test_y, seed, scale_of=train_x).accuracy

    def svm(shots: int, seed: int) -> float:
        places = per_class_subset(train_y, shots, seed)
        return svm_accuracy(scaled[places], train_y[places], scaled_test, test_y, seed)[0]

    shares = [share for share in SHARES if count_of(share, len(train_y)) >= len(np.unique(train_y))]
    return {f"{share} of labels": _draws(lambda seed, share=share: linear(share, seed)) for share in shares} | {
        f"SVM, {shots}": _draws(lambda seed, shots=shots: svm(shots, seed)) for shots in SHOTS
    }


def transfer(train: Labelled, test: Labelled) -> dict[str, list[float]]:
    """Accuracy of the features of UCI digits, which the network has never seen."""
    (train_x, train_y), of_test = train, test

    def tenth(seed: int) -> float:
        places = balanced_subset(train_y, "10%", seed)
        return linear_accuracy(train_x[places], train_y[places], *of_test, seed, scale_of=train_x).accuracy

    return {
        "digits, 20-NN": [knn_accuracy(*train, *of_test)],
        "digits, linear": [linear_accuracy(*train, *of_test).accuracy],
        "digits, 10%": _draws(tenth),
    }


def _draws(accuracy: Callable[[int], float]) -> list[float]:
    return [round(accuracy(seed), 4) for seed in range(DRAWS)]
