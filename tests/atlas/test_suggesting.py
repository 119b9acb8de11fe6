"""What to label next."""

import tracemalloc

import numpy as np
import pytest

from bssl_tf.atlas import suggesting
from tests.atlas.conftest import blobs


def plain_badge(features, probabilities, open_photos):
    """Squared distances between gradient embeddings, made in full."""
    x, p = features[open_photos], probabilities[open_photos]
    residual = p - np.eye(p.shape[1])[p.argmax(axis=1)]
    gradients = np.einsum("nc,nd->ncd", residual, x).reshape(len(x), -1)
    return ((gradients[:, np.newaxis] - gradients) ** 2).sum(axis=2), (gradients**2).sum(axis=1)


def test_badge_starts_at_the_largest_gradient_and_spreads():
    features, _classes = blobs(80)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 80)
    labelled = np.arange(10)
    open_photos = np.arange(10, 80)
    distances, lengths = plain_badge(features, probabilities, open_photos)
    chosen = suggesting.badge(features, probabilities, labelled, 12, seed=3)
    assert len(set(chosen)) == 12 and not set(chosen) & set(labelled)
    assert chosen[0] == open_photos[lengths.argmax()]
    places = np.searchsorted(open_photos, chosen)
    spread = lambda some: np.mean([distances[np.ix_([a], [b for b in some if b != a])].min() for a in some])  # noqa: E731
    random = [spread(generator.choice(70, 12, replace=False)) for _ in range(50)]
    assert spread(places) > np.percentile(random, 90)


def test_typiclust_covers_all_clusters_before_it_repeats_one():
    features, classes = blobs(200, spread=0.1)
    first = suggesting.typiclust(features, np.zeros(0, int), 4)
    assert sorted(classes[first]) == [0, 1, 2, 3]
    more = suggesting.typiclust(features, first, 250)
    assert len(more) == 196 and not set(more) & set(first)


def plain_typicality(points):
    """Inverse mean of the 20 smallest of all distances to others."""
    distances = np.sqrt(((points[:, np.newaxis].astype(float) - points) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    k = min(20, len(points) - 1)
    return 1 / (np.sort(distances, axis=1)[:, :k].mean(axis=1) + 1e-12)


@pytest.mark.parametrize("count, dimensions", [(2, 3), (15, 32), (21, 32), (200, 2), (200, 32)])
def test_typicality_is_that_of_all_pairs(count, dimensions):
    points = np.random.default_rng(0).normal(size=(count, dimensions)).astype(np.float32)
    np.testing.assert_allclose(suggesting._typicality(points), plain_typicality(points), rtol=1e-5)


def test_equal_and_single_points_are_typical_too():
    np.testing.assert_array_equal(suggesting._typicality(np.zeros((1, 4), np.float32)), 1)
    equal = suggesting._typicality(np.ones((30, 4), np.float32))
    assert np.isfinite(equal).all() and len(np.unique(equal)) == 1


def test_the_memory_of_typicality_does_not_grow_with_the_square():
    points = np.random.default_rng(0).normal(size=(4000, 32)).astype(np.float32)
    suggesting._typicality(points[:50])  # modules are imported now
    tracemalloc.start()
    suggesting._typicality(points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all pairs: 64 MB of float32


def test_margin_clusters_takes_uncertain_photos():
    features, classes = blobs(200)
    probabilities = np.full((200, 4), 0.01)
    probabilities[np.arange(200), classes] = 0.97
    probabilities[:60] = 0.25
    chosen = suggesting.margin_clusters(features, probabilities, np.arange(5), 6)
    assert len(set(chosen)) == 6 and all(5 <= photo < 60 for photo in chosen)
