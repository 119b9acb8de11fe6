import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from bssl_tf.evaluation.protocols.knn import knn_accuracies, knn_accuracy, nearest
from tests.evaluation.protocols.clusters import clusters


def naive_knn_accuracy(train_x, train_y, test_x, test_y, k):
    right = 0
    for x, label in zip(test_x, test_y, strict=True):
        cosines = train_x @ x / np.linalg.norm(train_x, axis=1)
        votes = np.bincount(train_y[np.argsort(-cosines)[:k]])
        right += votes.argmax() == label
    return right / len(test_x)


@pytest.mark.parametrize("spread", [0.3, 1.5, 4.0])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_knn_is_the_naive_one(spread, k):
    train, test = clusters(200, spread=spread, seed=1), clusters(100, spread=spread, seed=2)
    assert knn_accuracy(*train, *test, k=k) == pytest.approx(naive_knn_accuracy(*train, *test, k))


def test_all_k_plain_and_weighted_are_scikit_learns():
    (train_x, train_y), (test_x, test_y) = clusters(300, spread=3.0, seed=1), clusters(200, spread=3.0, seed=2)
    accuracies = knn_accuracies(train_x, train_y, test_x, test_y, (1, 5, 20, 200), temperature=0.2)
    for k, found in accuracies.items():
        votes = ("uniform", lambda distances: np.exp((1 - distances**2 / 2) / 0.2))
        for weights, accuracy in zip(votes, found, strict=True):
            expected = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(normalize(train_x), train_y)
            assert accuracy == pytest.approx(expected.score(normalize(test_x), test_y), abs=0.0051)
    assert accuracies[200][0] != accuracies[200][1] and accuracies[1][0] == accuracies[1][1]


def test_knn_finds_planted_clusters_and_chance_without_them():
    assert knn_accuracy(*clusters(200), *clusters(100, seed=2)) == 1.0
    noise = np.random.default_rng(0).normal(size=(1200, 12)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 4, 1200)
    assert abs(knn_accuracy(noise[:800], labels[:800], noise[800:], labels[800:]) - 0.25) < 0.1


def test_the_smallest_temperature_weighs_the_nearest_alone():
    random = np.random.default_rng(0)
    x, y, test_x = random.normal(size=(200, 8)), random.integers(0, 4, 200), random.normal(size=(50, 8))
    nearest_class = y[nearest(x, test_x, 1)[1][:, 0]]
    with np.errstate(all="raise", under="ignore"):
        assert knn_accuracies(x, y, test_x, nearest_class, (20,), temperature=1e-3)[20][1] > 0.95


def test_knn_needs_k_training_images():
    with pytest.raises(ValueError, match="20-NN.*at least 20.*there are 19"):
        knn_accuracy(*clusters(19), *clusters(5))
