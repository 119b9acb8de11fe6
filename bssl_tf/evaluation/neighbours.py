"""Sheets of real images: what a network takes to be alike."""

import io
from pathlib import Path

import numpy as np

from bssl_tf.data import Source, evaluation_images, readable_data_errors
from bssl_tf.data.preview import contact_sheet
from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.knn import nearest
from bssl_tf.files import write_bytes

QUERIES, NEIGHBOURS = 10, 8


def queries_of(data: LabelledData) -> np.ndarray:
    """Places of test images to look up: the first of each class, then the second of each, and so on."""
    members = [np.flatnonzero(data.test_labels == label) for label in np.unique(data.test_labels)]
    turns = [places[turn] for turn in range(QUERIES) for places in members if turn < len(places)]
    return np.asarray(turns[:QUERIES])


def write_neighbours(path: Path, train_x: np.ndarray, test_x: np.ndarray, data: LabelledData, image: tuple) -> None:
    """Write a sheet: a test image a row, and the training images nearest to it; green frames: of the same class.

    Args:
        path: PNG file to write.
        train_x: (n, D) features.
        test_x: (m, D) features.
        data: the images.
        image: size and channels to show them in, as the network sees them.
    """
    queries = queries_of(data)
    count = min(NEIGHBOURS, len(train_x))
    _, places = nearest(train_x, test_x[queries], count)
    shown = _images(data.test, queries, image)
    found = _images(data.train, np.unique(places), image)
    grid = [[shown[query], *(found[place] for place in row)] for query, row in zip(queries, places, strict=True)]
    frames = [
        [None, *("green" if data.train_labels[p] == data.test_labels[q] else "red" for p in row)]
        for q, row in zip(queries, places, strict=True)
    ]
    content = io.BytesIO()
    contact_sheet(grid, ["test image", *(f"neighbour {n + 1}" for n in range(count))], frames).save(content, "PNG")
    write_bytes(path, content.getvalue())


def _images(source: Source, places: np.ndarray, image: tuple[int, int]) -> dict[int, np.ndarray]:
    """Place → image, for a few images of a source."""
    size, channels = image
    needed, start = set(places.tolist()), 0
    found: dict[int, np.ndarray] = {}
    with readable_data_errors():
        for batch in evaluation_images(source, image_size=size, channels=channels).as_numpy_iterator():
            here = [place for place in range(start, start + len(batch)) if place in needed]
            found |= {place: batch[place - start] for place in here}
            start += len(batch)
            if len(found) == len(needed):
                break
    return found
