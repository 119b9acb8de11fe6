"""Nearest neighbours, exact, by cosine or by Hamming distance: https://github.com/facebookresearch/faiss finds them.

Faiss is an extra of this package: ``pip install bssl_tf[search]``.
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from bssl_tf.errors import UserError

_MOST_QUERIES = 1000


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of n, for each of q queries.

    Attributes:
        places: (q, k) rows of the index, nearest first.
        scores: (q, k) cosines, or numbers of differing bits.
    """

    places: np.ndarray
    scores: np.ndarray


def by_cosine(features: np.ndarray, queries: np.ndarray, k: int) -> Neighbours:
    """Exact search: (n, D) features, (q, D) queries, float32."""
    index = require_faiss().IndexFlatIP(features.shape[1])
    index.add(_unit(features))
    scores, places = index.search(_unit(queries), min(k, len(features)))
    return Neighbours(places, scores)


def by_hamming(codes: np.ndarray, queries: np.ndarray, k: int) -> Neighbours:
    """Exact search: (n, B) codes, (q, B) queries, uint8."""
    index = require_faiss().IndexBinaryFlat(8 * codes.shape[1])
    index.add(np.ascontiguousarray(codes))
    scores, places = index.search(np.ascontiguousarray(queries), min(k, len(codes)))
    return Neighbours(places, scores)


def recall(features: np.ndarray, codes: np.ndarray, k: int, among: int | None = None) -> float:
    """Share of the k nearest by cosine that are among the nearest by code; an image is no neighbour of its own.

    Args:
        features: (n, D).
        codes: (n, B) of the same images.
        k: neighbours by cosine.
        among: neighbours by code, k if not given; more of them where the features have the last word.

    Returns:
        The mean over at most 1000 of the images, taken evenly.
    """
    queries = np.arange(0, len(features), -(-len(features) // _MOST_QUERIES))
    exact = by_cosine(features, features[queries], k + 1).places
    found = by_hamming(codes, codes[queries], (among or k) + 1).places
    shares = [
        len(set(_others(own, image, k)) & set(_others(other, image, among or k))) / min(k, len(features) - 1)
        for own, other, image in zip(exact, found, queries, strict=True)
    ]
    return float(np.mean(shares))


def _others(places: np.ndarray, image: int, count: int) -> list[int]:
    return [place for place in places.tolist() if place != image][:count]


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(norms, np.finfo(np.float32).tiny), np.float32)


def require_faiss() -> ModuleType:
    """The module, imported only where it is needed.

    Raises:
        UserError: it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise UserError("The search needs Faiss, which is not installed: pip install 'bssl_tf[search]'.") from None
    return faiss
