"""Which photos to label next: published rules of active learning, on frozen features.

`typiclust` (https://arxiv.org/abs/2202.02794) for the first labels: typical photos of clusters without a label. With so
few labels a classifier does not know what it does not know.
`margin_clusters` (https://arxiv.org/abs/1901.05954) as soon as there is a classifier: photos between two classes
(it is uncertain), one of each of their clusters (they differ).
`badge` (https://arxiv.org/abs/1906.03671) is there to compare with: photos whose gradients of the classifier's loss are
large and point in different directions, drawn by k-means++. `python -m benchmarks.labelling` compares them.
"""

import numpy as np

from bssl_tf.atlas.layout import unit

TYPICAL_UNTIL = 3
"""Labels a class, on average, from which on the classifier is asked."""
_NEIGHBOURS = 20
_MOST_CLUSTERS = 500
_MOST_CANDIDATES = 5000
_PREFILTER = 10


def typiclust(features: np.ndarray, labelled: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The most typical photo of each of the largest clusters without a label.

    Args:
        features: (N, D), such as principal components of unit features.
        labelled: numbers of photos that have a label.
        count: how many photos to give.
        seed: of k-means.

    Returns:
        (count,) numbers of photos, or fewer where there are no more without a label.
    """
    from sklearn.cluster import MiniBatchKMeans

    chosen: list[int] = []
    number = min(len(labelled) + count, _MOST_CLUSTERS, len(features))
    clusters = MiniBatchKMeans(number, n_init=1, random_state=seed, batch_size=2048).fit_predict(features)
    covered = np.bincount(clusters[labelled], minlength=number)
    sizes = np.bincount(clusters, minlength=number)
    has_label = np.zeros(len(features), bool)
    has_label[labelled] = True
    for cluster in np.lexsort((-sizes, covered)):
        members = np.flatnonzero((clusters == cluster) & ~has_label)
        if len(members) and len(chosen) < count:
            chosen.append(int(members[_typicality(features[members]).argmax()]))
    rest = np.setdiff1d(np.flatnonzero(~has_label), chosen)
    return np.array(chosen + rest[: count - len(chosen)].tolist(), int)


def badge(
    features: np.ndarray, probabilities: np.ndarray, labelled: np.ndarray, count: int, seed: int = 0
) -> np.ndarray:
    """Batch active learning by diverse gradient embeddings.

    A photo's gradient is (p - e) ⊗ x, with p its probabilities and e the likeliest class as one-hot; distances between
    gradients follow from those of both factors, so the products are never made.

    Args:
        features: (N, D) as the classifier sees them.
        probabilities: (N, C).
        labelled: numbers of photos that have a label.
        count: how many photos to give.
        seed: of the draws.

    Returns:
        (count,) numbers of photos, the most uncertain first.
    """
    generator = np.random.default_rng(seed)
    open_photos = np.setdiff1d(np.arange(len(features)), labelled)
    if len(open_photos) > _MOST_CANDIDATES:
        open_photos = generator.choice(open_photos, _MOST_CANDIDATES, replace=False)
    x, residual = features[open_photos], probabilities[open_photos].copy()
    residual[np.arange(len(residual)), residual.argmax(axis=1)] -= 1
    lengths = (x**2).sum(axis=1) * (residual**2).sum(axis=1)
    chosen: list[int] = []
    nearest = lengths.copy()
    for _ in range(min(count, len(open_photos))):
        if not chosen or nearest.max() <= 0:
            nearest[chosen] = -1
            place = int(nearest.argmax())
        else:
            place = int(generator.choice(len(nearest), p=np.maximum(nearest, 0) / np.maximum(nearest, 0).sum()))
        chosen.append(place)
        distances = lengths + lengths[place] - 2 * (x @ x[place]) * (residual @ residual[place])
        nearest = np.minimum(nearest, np.maximum(distances, 0))
        nearest[chosen] = 0
    return open_photos[chosen]


def margin_clusters(
    features: np.ndarray, probabilities: np.ndarray, labelled: np.ndarray, count: int, seed: int = 0
) -> np.ndarray:
    """Of the photos with the smallest margin between the two likeliest classes, those next to k-means centres.

    Args and returns: as `badge`.
    """
    from sklearn.cluster import KMeans

    two = np.sort(probabilities, axis=1)[:, -2:]
    margins = two[:, 1] - two[:, 0]
    margins[labelled] = np.inf
    nearest = np.argsort(margins, kind="stable")[: min(_PREFILTER * count, np.isfinite(margins).sum())]
    if len(nearest) <= count:
        return nearest
    points = unit(features[nearest])
    fitted = KMeans(count, n_init=1, random_state=seed).fit(points, sample_weight=1 - margins[nearest])
    distances = fitted.transform(points)
    places = list(dict.fromkeys(distances.argmin(axis=0).tolist()))
    places += [place for place in range(len(nearest)) if place not in set(places)][: count - len(places)]
    return nearest[places]


def suggested(
    features: np.ndarray,
    coarse: np.ndarray,
    probabilities: np.ndarray | None,
    labelled: np.ndarray,
    classes: int,
    count: int,
    seed: int = 0,
) -> tuple[np.ndarray, str]:
    """The rule that fits the number of labels.

    Args:
        features: (N, D) as the classifier sees them.
        coarse: (N, d) principal components, for clusters.
        probabilities: (N, C) of the present classifier; None as long as there is none.
        labelled: numbers of photos that have a label.
        classes: how many classes there are.
        count: how many photos to give.
        seed: of draws.

    Returns:
        Numbers of photos, and the name of the rule.
    """
    if probabilities is None or len(labelled) < TYPICAL_UNTIL * classes:
        return typiclust(coarse, labelled, count, seed), "typiclust"
    return margin_clusters(features, probabilities, labelled, count, seed), "margin_clusters"


def _typicality(points: np.ndarray) -> np.ndarray:
    """Inverse mean distance to the nearest 20 others, or all where there are fewer."""
    from sklearn.neighbors import NearestNeighbors

    if len(points) == 1:
        return np.ones(1)
    k = min(_NEIGHBOURS, len(points) - 1)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(points).kneighbors()
    return 1 / (distances.mean(axis=1) + 1e-12)
