"""Finds the photos of an index that look like others, by exact cosine and by binary codes."""

from collections.abc import Sequence
from pathlib import Path

from bssl_tf.deploy.codes import binary_codes
from bssl_tf.search.contact_sheet import Row
from bssl_tf.search.nearest import by_cosine, by_hamming, recall
from bssl_tf.search.photo_index import PhotoIndex, features_of

_RECALL_AT = (1, 10, 100)


def find_alike(index: PhotoIndex, model: Path, root: Path, queries: Sequence[Path], hits: int) -> list[Row]:
    """The photos nearest to each query, first by cosine, then by code.

    Args:
        index: of all photos.
        model: the .tflite file that the index was made with.
        root: folder of the photos.
        queries: image files; one that is among the photos is no hit of its own.
        hits: photos to find for each query.

    Raises:
        UserError: a query cannot be read.
    """
    features, count = features_of(model, queries), hits + 1  # one more, in case the query itself is among the photos
    cosine = by_cosine(index.features, features, count)
    hamming = by_hamming(index.codes, binary_codes(features, index.centre), count)
    rows = []
    for number, query in enumerate(queries):
        for found, title, form in ((cosine, "cosine", "{:.3f}"), (hamming, "codes", "{:.0f} bits")):
            pairs = zip(found.places[number], found.scores[number], strict=True)
            named = [(root / index.paths[place], form.format(score)) for place, score in pairs]
            others = [(file, score) for file, score in named if file.resolve() != query.resolve()]
            rows.append(Row(query, title, others[:hits]))
    return rows


def summary_of(index: PhotoIndex) -> list[str]:
    """Sizes of an index, and how many of the nearest photos by cosine its codes find, a sentence each."""
    count, bits = index.features.shape
    lines = [
        f"{count} photos, {bits} features each; as floats {4 * bits} bytes a photo, as codes {index.codes.shape[1]}"
    ]
    for k in _RECALL_AT:
        if 10 * k < count:
            again = recall(index.features, index.codes, k, among=10 * k)
            lines.append(
                f"recall@{k} of 1-bit codes against exact cosine: {recall(index.features, index.codes, k):.3f}; among "
                f"the first {10 * k} by code: {again:.3f}"
            )
    return lines
