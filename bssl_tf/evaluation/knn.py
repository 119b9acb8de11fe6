"""k nearest neighbours: how well do features group what belongs together, with nothing trained."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from bssl_tf.errors import UserError


def knn_accuracy(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, k: int = 20
) -> float:
    """Share of test images whose k nearest training images (by cosine, one vote each) name their class.

    Distances are computed in blocks, so memory does not grow with the product of both sets.

    Args:
        train_x: (n, D) features.
        train_y: (n,) classes.
        test_x: (m, D) features.
        test_y: (m,) classes.
        k: neighbours that vote; a tie goes to the lowest class.

    Raises:
        UserError: fewer than k training images.
    """
    if len(train_x) < k:
        raise UserError(f"{k}-NN accuracy needs at least {k} training images, but there are {len(train_x)}. Give more.")
    # On vectors of length 1 the order by Euclidean distance is the order by cosine.
    classifier = KNeighborsClassifier(n_neighbors=k, algorithm="brute", metric="euclidean")
    classifier.fit(normalize(train_x), train_y)
    return float(classifier.score(normalize(test_x), test_y))
