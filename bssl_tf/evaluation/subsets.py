"""Which images keep their labels: balanced by class, seeded, and saved, so that every network sees the same ones."""

from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.config.evaluation import ALL_LABELS
from bssl_tf.errors import UserError
from bssl_tf.files import read_json, write_json


def count_of(amount: str, images: int) -> int:
    """How many images "10%" or "500" is, of so many.

    Raises:
        UserError: more than there are.
    """
    if amount.endswith("%"):
        return round(float(amount[:-1]) / 100 * images)
    count = int(float(amount))
    if count > images:
        raise UserError(f"--labels: {count} labelled images are requested, but there are {images} training images.")
    return count


def check_amount(amount: str, labels: np.ndarray) -> None:
    """Raises UserError where the images do not give a subset with every class in it."""
    count, classes = count_of(amount, len(labels)), len(np.unique(labels))
    if count < classes:
        raise UserError(
            f"--labels: {amount} is {count} of {len(labels)} training images, fewer than the {classes} classes. Give "
            f"at least {classes}, or a larger share."
        )


def balanced_subset(labels: np.ndarray, amount: str, seed: int) -> np.ndarray:
    """Places of the images chosen, ascending.

    Every class gives the same number of images (one more for some, where it does not divide evenly; what a class
    does not have, the others give). Of one seed, a smaller subset is part of a larger one of the same balance.

    Args:
        labels: (n,) classes.
        amount: "100%" for all, as they are; a share; or a number.
        seed: of the choice.

    Raises:
        UserError: more images than there are, or fewer than classes.
    """
    if amount == ALL_LABELS:
        return np.arange(len(labels))
    check_amount(amount, labels)
    random = np.random.default_rng(seed)
    classes, have = np.unique(labels, return_counts=True)
    order = random.permutation(len(classes))
    quotas, missing = np.zeros(len(classes), int), count_of(amount, len(labels))
    while missing:
        able = [place for place in order if quotas[place] < have[place]][:missing]
        quotas[able] += np.minimum(max(1, missing // len(able)), have[able] - quotas[able])
        missing = count_of(amount, len(labels)) - quotas.sum()
    shuffled = [random.permutation(np.flatnonzero(labels == label)) for label in classes]
    return np.sort(np.concatenate([members[:quota] for members, quota in zip(shuffled, quotas, strict=True)]))


def per_class_subset(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Places of `shots` images of each class, ascending.

    Raises:
        UserError: a class has fewer.
    """
    classes, have = np.unique(labels, return_counts=True)
    if have.min() < shots:
        raise UserError(
            f"--svm_shots: {shots} training images of each class are requested, but class {classes[have.argmin()]} has "
            f"{have.min()}. Give shots up to {have.min()}, or more images (--max_train_images)."
        )
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(labels == label))[:shots] for label in classes]
    return np.sort(np.concatenate(chosen))


def saved_subset(
    folder: Path | None, data_name: str, fingerprint: str, labels: np.ndarray, amount: str, seed: int
) -> np.ndarray:
    """`balanced_subset`, from the file of the run if it has one, else into it.

    Args:
        folder: where subsets lie; None: nothing is kept.
        data_name: for the file's name.
        fingerprint: of the training images; a file of others is not used.
        labels: as for `balanced_subset`, like the next two.
        amount: how many.
        seed: of the draw.
    """
    if folder is None or amount == ALL_LABELS:
        return balanced_subset(labels, amount, seed)
    path = folder / f"{file_name(data_name)}-{len(labels)}-{file_name(amount)}-seed{seed}.json"
    if path.exists():
        remedy = "delete it, and the same images are drawn again"
        saved = read_json(path, dict, remedy)
        if saved.get("training_images") == fingerprint:
            return _places(saved, len(labels), f"{path}: places cannot be {str(saved.get('places'))[:40]!r}: {remedy}.")
    chosen = balanced_subset(labels, amount, seed)
    content = {"training_images": fingerprint, "labels": amount, "seed": seed, "places": chosen.tolist()}
    write_json(path, content)
    return chosen


def _places(saved: dict[str, Any], count: int, complaint: str) -> np.ndarray:
    """The saved numbers of images.

    Raises:
        UserError: with the complaint, if they are none.
    """
    places = saved.get("places")
    if not isinstance(places, list) or not all(type(place) is int and 0 <= place < count for place in places):
        raise UserError(complaint)
    return np.asarray(places)


def draws_of(amounts: tuple[str, ...], draws: int) -> list[dict[str, Any]]:
    """Every amount with every draw, as parts of a protocol; of all labels there is but one draw."""
    return [
        {"amount": amount, "draw": draw} for amount in amounts for draw in range(1 if amount == ALL_LABELS else draws)
    ]


def in_words(amount: str) -> str:
    """The amount for people: "10%" → "10 % of labels", "50" → "50 labels", all → ""."""
    if amount == ALL_LABELS:
        return ""
    return f"{amount[:-1]} % of labels" if amount.endswith("%") else f"{amount} labels"


def file_name(text: str) -> str:
    """Letters, digits and dashes only."""
    text = text.replace("%", "pct").lower()
    return "-".join(filter(None, "".join(c if c.isalnum() or c == "." else "-" for c in text).split("-")))
