"""Lists of photos: what looks like this one, near-duplicates, outliers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bssl_tf.atlas.layout import Layout
from bssl_tf.deploy.codes import binary_codes
from bssl_tf.errors import UserError
from bssl_tf.files import sha256
from bssl_tf.search.nearest import by_cosine, by_hamming
from bssl_tf.search.photo_index import PhotoIndex

MEASURES = ("cosine", "code")
_OUTLIER_NEIGHBOURS = 10


@dataclass(frozen=True)
class Hit:
    """A photo by its number, with a score: a cosine, or differing bits."""

    photo: int
    score: float


@dataclass(frozen=True)
class Pair:
    """Two photos that look alike; `identical` where their files have the same bytes."""

    first: int
    second: int
    cosine: float
    identical: bool


def similar(index: PhotoIndex, query: np.ndarray, measure: str, count: int, without: int | None = None) -> list[Hit]:
    """The nearest photos.

    Args:
        index: of the photos.
        query: (D,) features.
        measure: one of `MEASURES`; "code" compares one bit a feature.
        count: how many.
        without: a photo to leave out, such as the query itself.

    Raises:
        UserError: no such measure.
    """
    if measure not in MEASURES:
        raise UserError(f"Photos are compared by {' or '.join(MEASURES)}, not by {measure!r}.")
    queries, extra = query[np.newaxis], without is not None
    if measure == "cosine":
        found = by_cosine(index.features, queries, count + extra)
    else:
        found = by_hamming(index.codes, binary_codes(queries, index.centre), count + extra)
    hits = [Hit(int(place), float(score)) for place, score in zip(found.places[0], found.scores[0], strict=True)]
    return [hit for hit in hits if hit.photo != without][:count]


def near_duplicates(layout: Layout, files: Sequence[Path], count: int) -> list[Pair]:
    """The pairs of photos that look most alike: files with the same bytes first, then by cosine."""
    photos = np.repeat(np.arange(len(files)), layout.neighbours.shape[1])
    others, cosines = layout.neighbours.ravel(), layout.cosines.ravel()
    found = zip(photos.tolist(), others.tolist(), cosines.tolist(), strict=True)
    pairs = {(min(a, b), max(a, b)): cosine for a, b, cosine in found}
    copies = _copies(files)
    pairs |= dict.fromkeys(copies, 1.0)
    ranked = sorted(pairs.items(), key=lambda item: (item[0] not in copies, -item[1], item[0]))[:count]
    return [Pair(a, b, cosine, (a, b) in copies) for (a, b), cosine in ranked]


def outliers(layout: Layout, count: int) -> list[Hit]:
    """The photos that are least like any others, by the mean cosine to their ten nearest, smallest first.

    The k-NN outlier score of https://doi.org/10.1145/342009.335437, in its mean form.
    """
    closeness = layout.cosines[:, :_OUTLIER_NEIGHBOURS].mean(axis=1) if layout.cosines.shape[1] else np.zeros(0)
    return [Hit(int(photo), float(closeness[photo])) for photo in np.argsort(closeness, kind="stable")[:count]]


def _copies(files: Sequence[Path]) -> set[tuple[int, int]]:
    """Each file with the first one of the same content."""
    by_size: dict[int, list[int]] = {}
    by_content: dict[str, int] = {}
    copies = set()
    for number, file in enumerate(files):
        try:
            by_size.setdefault(os.stat(file).st_size, []).append(number)
        except OSError:
            continue  # gone since the scan; there is nothing to compare
    for numbers in by_size.values():
        for number in numbers if len(numbers) > 1 else ():
            try:
                first = by_content.setdefault(sha256(files[number]), number)
            except OSError:
                continue
            if first != number:
                copies.add((first, number))
    return copies
