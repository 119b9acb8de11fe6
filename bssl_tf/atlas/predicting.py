"""A linear classifier on the features of labelled photos, what it says of all others, and how right it is.

Accuracy is that of a second classifier that has not seen a share of the labels, on that share. Photos that were
labelled as a random check are held out whole: only they say what to expect of the photos that had no label when they
were drawn, as picked photos are easier and suggested ones harder than most. Checks of classes with too few labels to
train on count as well: the classifier knows no such class, so it is wrong on them.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bssl_tf.atlas.store import Label
from bssl_tf.evaluation.labelled_data import confusion_of
from bssl_tf.evaluation.protocols.linear import LinearFit, fit_linear

HELD_OUT = 0.2
_FEWEST_OF_A_CLASS = 2
"""Labels, other than random checks, that a class needs before it is trained on."""
_FEWEST_TO_HOLD_OUT = 3
_Z = 1.959964  # 95 % of a normal distribution


@dataclass(frozen=True)
class LabelledPhotos:
    """Labels as numbers.

    Attributes:
        photos: (n,) numbers of photos.
        classes: (n,) places in `class_ids`.
        class_ids: of the store, those with enough labels.
        names: of all classes by id, as they were with these labels.
        held_out: (n,) whether a label is for measuring.
        checks: (n,) whether it is from a random check.
        untrained: photos of the random checks of every class with too few other labels, by id; they are not among the
            n.
    """

    photos: np.ndarray
    classes: np.ndarray
    class_ids: tuple[int, ...]
    names: Mapping[int, str]
    held_out: np.ndarray
    checks: np.ndarray
    untrained: Mapping[int, np.ndarray]

    @property
    def enough(self) -> bool:
        return len(self.class_ids) >= 2

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of `class_ids`."""
        return tuple(self.names[class_id] for class_id in self.class_ids)


@dataclass(frozen=True)
class Predictions:
    """Attributes:
    classes: (N,) place in `labelled.class_ids` of the likeliest class of every photo.
    probabilities: (N, C).
    labelled: what the classifier was fitted on, with ids and names of its classes.
    fit: the classifier, of all labels.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    labelled: LabelledPhotos
    fit: LinearFit

    @property
    def confidence(self) -> np.ndarray:
        return self.probabilities.max(axis=1)


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on labels that the measured classifier has not seen.

    Attributes:
        photos: (m,) held out.
        true: (m,) ids of their classes, which may have too few labels to be known to the classifier.
        given: (m,) ids of the classes that the classifier takes them for.
        labelled: all labels of that revision.
        unbiased: the held-out photos are all random checks and nothing else, so this is the accuracy to expect of the
            photos that had no label when they were drawn.
    """

    photos: np.ndarray
    true: np.ndarray
    given: np.ndarray
    labelled: LabelledPhotos
    unbiased: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            Overall and per class a count, right answers, and the 95 % interval; the confusion of `rows` (classes of
            held-out photos) with `class_ids` (those that the classifier knows), and photos of its cells.
        """
        right, true, given = self.true == self.given, self.true.tolist(), self.given.tolist()
        class_ids, untrained = self.labelled.class_ids, tuple(self.labelled.untrained)
        rows = class_ids + tuple(class_id for class_id in untrained if class_id in true)
        places = {class_id: place for place, class_id in enumerate(rows)}
        confusion = confusion_of(
            np.array([places[each] for each in true]), np.array([places[each] for each in given]), len(rows)
        )
        cells: dict[str, list[int]] = {}
        for photo, row, column in zip(self.photos.tolist(), true, given, strict=True):
            cells.setdefault(f"{row}-{column}", []).append(photo)
        return {
            "unbiased": self.unbiased,
            "overall": self.overall(),
            "per_class": {class_id: _share(right[self.true == class_id]) for class_id in rows},
            "rows": rows,
            "class_ids": class_ids,
            "untrained": untrained,
            "confusion": confusion and [row[: len(class_ids)] for row in confusion],
            "cells": cells,
        }

    def overall(self) -> dict[str, Any]:
        return _share(self.true == self.given)


def labelled_photos(
    labels: Mapping[str, Label], numbers: Mapping[str, int], names: Mapping[int, str]
) -> LabelledPhotos:
    """Take the labels of photos that are there; classes with fewer than two, random checks aside, are set aside.

    Held out are all random checks, and of each class with three other labels or more a fifth of them, at least one:
    those whose paths have the smallest hash, so the same ones tomorrow.

    Args:
        labels: by path.
        numbers: of photos, by path.
        names: of all classes by id, of the same revision as the labels.
    """
    known = {path: label for path, label in labels.items() if path in numbers}
    by_class: dict[int, list[str]] = {}
    for path, label in known.items():
        by_class.setdefault(label.class_id, []).append(path)
    class_ids = tuple(sorted(key for key, paths in by_class.items() if _training_labels(paths, known)))
    held = {path for key in class_ids for path in _held_out(by_class[key], known)}
    rows = [(path, place) for place, key in enumerate(class_ids) for path in by_class[key]]
    return LabelledPhotos(
        photos=np.array([numbers[path] for path, _ in rows], int),
        classes=np.array([place for _, place in rows], int),
        class_ids=class_ids,
        names=names,
        held_out=np.array([path in held for path, _ in rows], bool),
        checks=np.array([known[path].source == "check" for path, _ in rows], bool),
        untrained={
            key: np.array([numbers[path] for path in by_class.get(key, ()) if known[path].source == "check"], int)
            for key in names
            if key not in class_ids
        },
    )


def predict(features: np.ndarray, labelled: LabelledPhotos) -> Predictions:
    """Fit all labels and predict all photos, features (N, D). Two classes or more."""
    fit = _fit(features, labelled, slice(None))
    probabilities = probabilities_of(fit, features, len(labelled.class_ids))
    return Predictions(probabilities.argmax(axis=1), probabilities, labelled, fit)


def measure(features: np.ndarray, labelled: LabelledPhotos) -> Accuracy | None:
    """Accuracy on the held-out labels; None as long as there are none, or too few others to fit."""
    unbiased = bool(labelled.checks.any()) or any(map(len, labelled.untrained.values()))
    held_out, fitted = labelled.checks if unbiased else labelled.held_out, ~labelled.held_out
    class_ids = np.array(labelled.class_ids)
    photos = np.concatenate([labelled.photos[held_out], *labelled.untrained.values()])
    if not len(photos) or len(np.unique(labelled.classes[fitted])) < len(class_ids):
        return None
    others = [np.full(len(checks), class_id) for class_id, checks in labelled.untrained.items()]
    true = np.concatenate([class_ids[labelled.classes[held_out]], *others])
    fit = _fit(features, labelled, fitted)
    places = probabilities_of(fit, features[photos], len(class_ids)).argmax(axis=1)
    return Accuracy(photos, true, class_ids[places], labelled, unbiased)


def _fit(features: np.ndarray, labelled: LabelledPhotos, places: np.ndarray | slice) -> LinearFit:
    return fit_linear(features[labelled.photos[places]], labelled.classes[places], scale_of=features)


def probabilities_of(fit: LinearFit, features: np.ndarray, classes: int) -> np.ndarray:
    """(n, classes) softmax of the dense layer that the classifier becomes in the .tflite file."""
    kernel, bias = fit.dense(classes)
    logits = features @ kernel + bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (https://doi.org/10.1080/01621459.1927.10502953); good for few photos, too."""
    if count == 0:
        return 0.0, 1.0
    share, spread = right / count, _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(right: np.ndarray) -> dict[str, Any]:
    count, hits = len(right), int(right.sum())
    return {"right": hits, "count": count, "interval": wilson_interval(hits, count)}


def _training_labels(paths: list[str], labels: Mapping[str, Label]) -> bool:
    return sum(labels[path].source != "check" for path in paths) >= _FEWEST_OF_A_CLASS


def _held_out(paths: list[str], labels: Mapping[str, Label]) -> list[str]:
    checks = [path for path in paths if labels[path].source == "check"]
    others = sorted((path for path in paths if labels[path].source != "check"), key=_order)
    count = max(1, round(HELD_OUT * len(others))) if len(others) >= _FEWEST_TO_HOLD_OUT else 0
    return checks + others[:count]


def _order(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8, person=b"atlas").digest()
