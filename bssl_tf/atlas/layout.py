"""The map: where each photo lies, its neighbours, and the clusters found without labels.

Positions: t-SNE (https://jmlr.org/papers/v9/vandermaaten08a.html) by openTSNE from exact cosine neighbours, started at
the first two principal components, which keeps the coarse order (https://doi.org/10.1038/s41467-019-13056-x).
Clusters: k-means on unit features, as many as have the best silhouette (https://doi.org/10.1016/0377-0427(87)90125-7).
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from threadpoolctl import threadpool_limits

from bssl_tf.errors import UserError
from bssl_tf.files import write_bytes
from bssl_tf.npz_files import ArraysError, read_npz
from bssl_tf.search.nearest import by_cosine

NEIGHBOURS = 30
MOST_CLUSTERS = 16
_FORMAT = 1
_FEWEST = 5
"""Fewer photos than that have no neighbourhoods to lay out: they lie on a line."""
_DIMENSIONS = 32
_SILHOUETTE_PHOTOS = 1500
_LEAST_SPREAD = 1e-6
_EARLY, _LATE = 200, 300
_STEPS_AT_ONCE = 50
_INTERPOLATED_FROM = 4000
"""Photos from which on repulsion is interpolated (FIt-SNE), whose time grows with their number only."""


@dataclass(frozen=True)
class Layout:
    """Attributes:
    positions: (n, 2) in 0..1.
    clusters: (n,) numbers from 0, the largest cluster first.
    neighbours: (n, k) other photos, nearest first.
    cosines: (n, k) to them.
    """

    positions: np.ndarray
    clusters: np.ndarray
    neighbours: np.ndarray
    cosines: np.ndarray


def open_layout(path: Path, features: np.ndarray, progress: Callable[[float], None] = lambda share: None) -> Layout:
    """The layout of features (n, D), from a file if it was made of them, else computed and saved."""
    digest = hashlib.sha256(f"{_FORMAT} {features.shape}".encode() + features.tobytes()).digest()
    identity = np.frombuffer(digest, np.uint8)
    try:
        saved = read_npz(path)
        if np.array_equal(saved["identity"], identity):
            return Layout(*(saved[name] for name in Layout.__dataclass_fields__))
    except (OSError, ArraysError, KeyError):
        pass  # not there, or half of it: it can be made again
    layout = lay_out(features, progress)
    content = io.BytesIO()
    np.savez(content, identity=identity, **vars(layout))
    write_bytes(path, content.getvalue())
    return layout


def lay_out(features: np.ndarray, progress: Callable[[float], None] = lambda share: None) -> Layout:
    """Compute a layout of features (n, D); the same features give the same layout."""
    neighbours, cosines = nearest_others(features, NEIGHBOURS)
    with threadpool_limits(1):
        clusters = _clusters(features)
    progress(0.1)
    if len(features) < _FEWEST:
        positions = np.stack([np.linspace(0, 1, len(features)), np.full(len(features), 0.5)], axis=1)
    else:
        positions = _t_sne(features, neighbours, cosines, lambda share: progress(0.1 + 0.9 * share))
    return Layout(positions.astype(np.float32), clusters, neighbours, cosines)


def nearest_others(features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, k) of the nearest by cosine, and cosines; k is less where there are fewer photos."""
    found = by_cosine(features, features, k + 1)
    is_itself = found.places == np.arange(len(features))[:, np.newaxis]
    is_itself[~is_itself.any(axis=1), -1] = True  # many equal photos: it is not among the nearest itself
    shape = (len(features), found.places.shape[1] - 1)
    return found.places[~is_itself].reshape(shape).astype(np.int32), found.scores[~is_itself].reshape(shape)


def unit(features: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def reduced(features: np.ndarray, dimensions: int = _DIMENSIONS) -> np.ndarray:
    """Unit features in their first principal components, (n, d)."""
    from sklearn.decomposition import PCA

    points = unit(features)
    if points.std(axis=0).max() < _LEAST_SPREAD:
        return np.zeros((len(points), min(dimensions, *points.shape)), np.float32)
    projection = PCA(min(dimensions, *points.shape), svd_solver="randomized", random_state=0)
    return projection.fit_transform(points).astype(np.float32)


def _clusters(features: np.ndarray) -> np.ndarray:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    count = len(features)
    if count < 2 * _FEWEST:
        return np.zeros(count, np.int32)
    points = reduced(features)
    sample = np.random.default_rng(0).permutation(count)[:_SILHOUETTE_PHOTOS]
    best, found = -np.inf, None
    for number in range(3, min(MOST_CLUSTERS, count // 3) + 1):
        fitted = KMeans(number, n_init=2, random_state=0).fit(points[sample])
        labels = fitted.predict(points[sample])
        if len(np.unique(labels)) < 2:
            continue  # all photos are alike
        score = silhouette_score(points[sample], labels)
        if score > best:
            best, found = score, fitted
    if found is None:
        return np.zeros(count, np.int32)
    clusters = found.predict(points)
    sizes = np.bincount(clusters, minlength=len(found.cluster_centers_))
    rank = np.empty_like(sizes)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[clusters].astype(np.int32)


def _t_sne(
    features: np.ndarray, neighbours: np.ndarray, cosines: np.ndarray, progress: Callable[[float], None]
) -> np.ndarray:
    t_sne = require_open_tsne()
    distances = np.sqrt(np.maximum(0, 2 - 2 * cosines))  # of unit vectors
    knn = t_sne.nearest_neighbors.PrecomputedNeighbors(neighbours, distances)
    affinities = t_sne.affinity.PerplexityBasedNN(knn_index=knn, perplexity=neighbours.shape[1] / 3)
    start = reduced(features, 2)
    if start.std() < _LEAST_SPREAD:  # all photos are alike: any start will do, but a single point
        start = np.random.default_rng(0).normal(size=(len(features), 2))
    start = t_sne.initialization.rescale(start)
    # One thread: where the processor is busy with other work, openTSNE's threads wait for each other.
    embedding = t_sne.TSNEEmbedding(
        start,
        affinities,
        negative_gradient_method="bh" if len(features) < _INTERPOLATED_FROM else "fft",
        n_jobs=1,
        random_state=0,
    )
    done = 0
    for steps, options in ((_EARLY, dict(exaggeration=12, momentum=0.5)), (_LATE, dict(momentum=0.8))):
        for _ in range(steps // _STEPS_AT_ONCE):
            embedding.optimize(_STEPS_AT_ONCE, inplace=True, **options)
            done += _STEPS_AT_ONCE
            progress(done / (_EARLY + _LATE))
    return _in_square(np.asarray(embedding))


def _in_square(points: np.ndarray) -> np.ndarray:
    """Shifted and scaled into 0..1, both axes alike."""
    low, high = points.min(axis=0), points.max(axis=0)
    return 0.5 + (points - (low + high) / 2) / max((high - low).max(), 1e-9)


def require_open_tsne() -> ModuleType:
    """The module.

    Raises:
        UserError: it is not installed.
    """
    try:
        import openTSNE
        import openTSNE.affinity
        import openTSNE.initialization
        import openTSNE.nearest_neighbors
    except ImportError:
        raise UserError("The atlas needs openTSNE, which is not installed: pip install 'bssl_tf[atlas]'.") from None
    return openTSNE
