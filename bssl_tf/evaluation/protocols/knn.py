"""k nearest neighbours: how well do features group what belongs together, with nothing trained.

Plain: every neighbour has one vote. Weighted: a neighbour of cosine s has exp(s / T) votes, T = 0.07, as in
https://arxiv.org/abs/1805.01978.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from bssl_tf.config.evaluation import USUAL_NEIGHBOURS
from bssl_tf.errors import UserError
from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.base import Protocol, Score, Task

HEADLINE_K = 20


def knn_accuracies(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    ks: tuple[int, ...],
    temperature: float = 0.07,
) -> dict[int, tuple[float, float]]:
    """Share of test images whose k nearest training images (by cosine) name their class.

    Distances are computed in blocks and only the nearest are kept, so memory does not grow with the product of both
    sets.

    Args:
        train_x: (n, D) features.
        train_y: (n,) classes 0 … C-1.
        test_x: (m, D) features.
        test_y: (m,) classes.
        ks: numbers of neighbours.
        temperature: of weighted votes.

    Returns:
        k → accuracy of plain votes, accuracy of weighted votes. A tie goes to the lowest class.

    Raises:
        UserError: fewer than k training images.
    """
    _check_neighbours(ks, len(train_x))
    distances, neighbours = nearest(train_x, test_x, max(ks))
    exponents = (1 - distances**2 / 2) / temperature
    weights = np.exp(exponents - exponents[:, :1])  # relative to the nearest one: no overflow, and the same votes
    plain, weighted = np.zeros((2, len(test_x), int(train_y.max()) + 1))
    accuracies: dict[int, tuple[float, float]] = {}
    everyone = np.arange(len(test_x))
    for place in range(max(ks)):
        classes = train_y[neighbours[:, place]]
        plain[everyone, classes] += 1
        weighted[everyone, classes] += weights[:, place]
        if place + 1 in ks:
            right, right_weighted = (float((votes.argmax(1) == test_y).mean()) for votes in (plain, weighted))
            accuracies[place + 1] = right, right_weighted
    return accuracies


def knn_accuracy(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, k: int = 20
) -> float:
    """Accuracy of plain votes of k neighbours, see `knn_accuracies`."""
    return knn_accuracies(train_x, train_y, test_x, test_y, (k,))[k][0]


def nearest(train_x: np.ndarray, test_x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and places, both (m, k), of the training features nearest by cosine, nearest first.

    The distance is that of vectors of length 1, which has the order of the cosine: 2 - 2 cos = distance².
    """
    finder = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="euclidean").fit(normalize(train_x))
    return finder.kneighbors(normalize(test_x))


def _check_neighbours(ks: tuple[int, ...], images: int) -> None:
    if max(ks) > images:
        raise UserError(
            f"{max(ks)}-NN accuracy needs at least {max(ks)} training images, but there are {images}. Give "
            "more, or a smaller --knn_k."
        )


class Knn(Protocol):
    """Accuracy of k nearest neighbours."""

    name = "knn"
    reads = ("knn_k", "knn_temperature")

    def check(self, data: LabelledData) -> None:
        _check_neighbours(self._ks(len(data.train_labels)), len(data.train_labels))

    def run(self, task: Task) -> list[Score]:
        train_y, test_y = task.data.train_labels, task.data.test_labels
        ks = self._ks(len(train_y))
        accuracies = knn_accuracies(
            task.features("train"), train_y, task.features("test"), test_y, ks, self.settings.knn_temperature
        )
        headline = max((k for k in ks if k <= HEADLINE_K), default=ks[0])
        return [
            Score(f"{kind}{k}-NN", accuracy, len(train_y), headline=k == headline and not kind)
            for k in ks
            for kind, accuracy in zip(("", "weighted "), accuracies[k], strict=True)
        ]

    def _ks(self, images: int) -> tuple[int, ...]:
        usual = tuple(k for k in USUAL_NEIGHBOURS if k <= images)
        return self.settings.neighbours or usual
