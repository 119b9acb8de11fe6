"""Several labels an image from a file: ``labels.csv`` at the root of a folder of images.

    file,labels
    train/beach.jpg,person;dog
    train/empty.jpg,
    test/street.jpg,car;person

Paths are relative to the file's folder; an image may have no label. Every image needs a row, and every row an image.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bssl_tf.data.sources.base import DataError, MultiLabels

LABEL_FILE = "labels.csv"
_HEADER, _SEPARATOR, _NAMED = ["file", "labels"], ";", 3


def read_label_csv(path: Path) -> dict[str, frozenset[str]]:
    """Relative path of an image → names of its classes.

    Raises:
        DataError: not of this form, a file that has two rows, or no class at all.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8 ({error}).") from None
    if not rows or rows[0] != _HEADER:
        raise DataError(f"{path} must begin with the line 'file,labels', and have a file and its labels in each line.")
    found: dict[str, frozenset[str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(_HEADER) or row[0] in found:
            problem = "is there twice" if row[0] in found else f"has {len(row)} fields"
            raise DataError(f"{path}, line {number}: {row[0]!r} {problem}. Give each file once, with two fields.")
        found[row[0]] = frozenset(filter(None, map(str.strip, row[1].split(_SEPARATOR))))
    if not any(found.values()):
        raise DataError(f"{path} names no class: give labels behind the comma, separated by semicolons.")
    return found


def multi_labels(path: Path, images: Sequence[str], all_images: Iterable[str], skipped: Iterable[str]) -> MultiLabels:
    """The labels of images.

    Args:
        path: of the CSV file.
        images: the images to use, as the file names them, in order.
        all_images: all images of the folder, of both splits.
        skipped: files that cannot be read; they may have rows.

    Raises:
        DataError: as `read_label_csv`; an image has no row, or a row no image.
    """
    labels, existing = read_label_csv(path), set(all_images)
    for problem, names in {
        "images have no row": sorted(existing - labels.keys()),
        "rows have no image": sorted(labels.keys() - existing - set(skipped)),
    }.items():
        if names:
            raise DataError(f"{path}: {len(names)} {problem} ({', '.join(names[:_NAMED])} …): add or remove them.")
    class_names = sorted(frozenset().union(*labels.values()))
    values = np.array([[name in labels[image] for name in class_names] for image in images], np.int8)
    return MultiLabels(values.reshape(len(images), len(class_names)), tuple(class_names))
