import numpy as np
import pytest

from bssl_tf.evaluation.labelled_data import check_labels


@pytest.mark.parametrize(
    "train_y, test_y, message",
    [
        (None, [0, 1], "this data set has none"),
        ([0] * 30, [0, 0], "two classes or more"),
        ([0, 1] * 15, [0, 5], r"Test images of 1 classes \(\[5\]"),
        (np.eye(2)[[0, 1] * 15], [0, 1], "one per image"),
    ],
)
def test_wrong_labels_are_refused_before_any_compute(train_y, test_y, message):
    with pytest.raises(ValueError, match=message):
        check_labels(train_y, test_y)
