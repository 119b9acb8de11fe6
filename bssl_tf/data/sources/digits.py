"""scikit-learn's digits: 1797 grey images of 8×8 pixels, installed with the library, so never downloaded."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from bssl_tf.data.sources.arrays import ArraySource

_LARGEST_VALUE = 16


def load(split: str, max_images: int = 0) -> ArraySource:
    """The digits' train or test split: a fixed, stratified 80 % (1437) and 20 % (360), shuffled once for all.

    Args:
        split: "train" or "test".
        max_images: only the first so many; 0: all.
    """
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / _LARGEST_VALUE)).astype(np.uint8)[..., np.newaxis]
    chosen = dict(
        zip(
            ("train", "test"),
            train_test_split(np.arange(len(pixels)), test_size=0.2, stratify=digits.target, random_state=0),
            strict=True,
        )
    )[split][: max_images or None]
    class_names = [str(name) for name in digits.target_names]
    return ArraySource("digits", pixels[chosen], digits.target[chosen], class_names)
