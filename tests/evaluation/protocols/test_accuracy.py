import numpy as np
import pytest

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.accuracy import Accuracy
from bssl_tf.evaluation.protocols.base import Network


@pytest.mark.parametrize(
    "names, labels, expected",
    [
        (("cat", "dog"), np.zeros(3, int), ""),
        (("dog", "cat"), np.zeros(3, int), "it has the classes of pets in another order"),
        (tuple("abcdef"), np.zeros(3, int), "it has 6 classes (a, b, c, d, e …), pets has 2 classes (cat, dog)"),
        (("cat", "dog"), np.zeros((3, 2), int), "it gives one label an image, and the images of pets have several"),
    ],
)
def test_a_classifier_is_judged_on_its_own_classes_only(names, labels, expected):
    data = LabelledData("pets", None, None, labels, labels, ("cat", "dog"))
    assert Accuracy(EvaluationSettings()).misfit(Network("a", "1", None, class_names=names), data) == expected
