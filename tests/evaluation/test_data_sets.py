import numpy as np
import pytest

import bssl_tf.data
from bssl_tf.config.training import DataSettings
from bssl_tf.data.sources.arrays import ArraySource
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
