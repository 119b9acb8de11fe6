import numpy as np
import pytest

import bssl_tf.data
from bssl_tf.config.training import DataSettings
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.base import MultiLabels
from bssl_tf.evaluation.data_sets import DataSet


@pytest.mark.parametrize("kind, asked", [("folder:photos", True), ("lmdb:photos", True), ("digits", False)])
def test_images_that_may_change_are_identified_by_fingerprints(monkeypatch, kind, asked):
    def load(pixel):
        images = np.full((2, 4, 4, 1), pixel, np.uint8)
        monkeypatch.setattr(bssl_tf.data, "load_source", lambda *_: ArraySource("photos", images))
        return DataSet(DataSettings(dataset=kind)).identity(None)

    before, after = load(1), load(2)
    assert ("images" in before) == asked
    assert (before != after) == asked


def test_other_labels_of_the_same_images_are_another_data_set(monkeypatch):
    def load(label):
        source = ArraySource("photos", np.zeros((2, 4, 4, 1), np.uint8))
        source.multi_labels = MultiLabels(np.full((2, 3), label, np.int8), ("a", "b", "c"))
        monkeypatch.setattr(bssl_tf.data, "load_source", lambda *_: source)
        return DataSet(DataSettings(dataset="folder:photos")).identity(None)

    assert load(0) == load(0) != load(1)
