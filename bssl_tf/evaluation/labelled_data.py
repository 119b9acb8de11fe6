"""A data set with checked labels: what can be wrong with them is an error before any compute."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bssl_tf.errors import UserError

if TYPE_CHECKING:
    from bssl_tf.data import Source

MOST_CLASSES = 40
"""More classes than that can neither be read in a confusion matrix nor distinguished by colour."""


@dataclass(frozen=True)
class LabelledData:
    """Training and test images with labels, classes numbered 0 … C-1.

    Attributes:
        name: of the data set, for tables.
        train, test: the sources (`bssl_tf.data.Source`); None where only features are at hand.
        train_labels: (n,) int; (n, C) of 1, 0 and -1 (does not count) where images have several labels.
        test_labels: (m,) int, or (m, C).
        class_names: C names.
        settings: which images these are, as `config.DataSettings` say it.
    """

    name: str
    train: "Source"
    test: "Source"
    train_labels: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def several_labels(self) -> bool:
        """Whether an image may show several classes."""
        return self.train_labels.ndim == 2

    @property
    def train_fingerprint(self) -> str:
        return self.train.fingerprint if self.train is not None else ""


def labelled(name: str, train: "Source", test: "Source", settings: dict[str, Any] | None = None) -> LabelledData:
    """Take labels from two sources and check them.

    Raises:
        UserError: as `check_labels`, or training and test images are the same ones. Several labels an image are
            checked by the protocols.
    """
    train_several, test_several = train.multi_labels, test.multi_labels
    if train.labels is None and train_several is not None and test_several is not None:
        train_labels, test_labels = train_several.values, test_several.values
        class_names = train_several.class_names
    else:
        train_labels, test_labels = check_labels(train.labels, test.labels)
        class_names = tuple(train.class_names or map(str, range(int(train_labels.max()) + 1)))
    if train.fingerprint == test.fingerprint:
        raise UserError(
            f"Training and test images of {name} are the same: choose another --train_split or --test_split."
        )
    return LabelledData(name, train, test, train_labels, test_labels, tuple(class_names), settings or {})


def confusion_of(true: np.ndarray, given: np.ndarray, classes: int) -> list[list[int]] | None:
    """Test images by class (row) and class given (column); None of more classes than can be read."""
    if classes > MOST_CLASSES:
        return None
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (true, given), 1)
    return counts.tolist()


def check_labels(train_labels: np.ndarray | None, test_labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays.

    Raises:
        UserError: labels are missing or no list of classes, there are fewer than two classes, or a test class has no
            training images.
    """
    if train_labels is None or test_labels is None:
        raise UserError(
            "Evaluation needs labels, and this data set has none. Training does without; to evaluate, name a"
            " labelled --dataset, or sort the images into one folder per class."
        )
    train_y, test_y = np.asarray(train_labels), np.asarray(test_labels)
    for part, labels in (("training", train_y), ("test", test_y)):
        if labels.ndim != 1 or not len(labels):
            raise UserError(
                f"The {part} labels must be a list of classes, one per image; received shape {labels.shape}."
            )
    classes = np.unique(train_y)
    if len(classes) < 2:
        raise UserError(f"Evaluation needs two classes or more; all training images are of class {classes.tolist()}.")
    unknown = np.setdiff1d(test_y, classes)
    if len(unknown):
        raise UserError(
            f"Test images of {len(unknown)} classes ({unknown[:5].tolist()} …) have no training images of"
            " their class. Use more training images (--max_train_images) or the right --train_split and"
            " --test_split."
        )
    return train_y, test_y
