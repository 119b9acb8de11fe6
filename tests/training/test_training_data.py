"""The online 20-NN accuracy: how many images it takes, and which of them stay in memory."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.training.run_data import RunData
from bssl_tf.training.training_data import training_data
from tests.methods.small import SIZE, dense_backbone


class Counted(ArraySource):
    """Counts the images that are decoded."""

    def __init__(self, count):
        images = np.random.default_rng(count).integers(0, 256, (count, SIZE, SIZE, 1), np.uint8)
        super().__init__("noise", images, np.arange(count) % 3, list("abc"))
        self.decoded = tf.Variable(0)

    def decode(self, record, short_side=None):
        self.decoded.assign_add(1)
        return super().decode(record, short_side)


def decoded_by_measurements(train, test, limit_mb):
    """Numbers of training and of test images that the first, and the second measurement decode."""
    sources = [Counted(count) for count in (train, test)]
    data = RunData(SIZE, 1, (127.5,), (64.0,), *sources)
    options = dict(views=ViewSettings(), seed=0, phase=1, batch_size=2, epochs=1, decoded_cache_mb=limit_mb)
    measure = training_data(data, online_knn=True, **options).knn(dense_backbone())
    counts = []
    for _ in range(2):
        for source in sources:
            source.decoded.assign(0)
        assert 0.2 < measure() < 0.5
        counts.append([int(source.decoded) for source in sources])
    return counts


@pytest.mark.parametrize(
    ("images", "used"), [((5000, 2000), [5000, 2000]), ((5001, 2001), [2501, 1001]), ((9999, 1500), [5000, 1500])]
)
def test_the_online_knn_takes_at_most_5000_and_2000_images_and_keeps_them(images, used):
    assert decoded_by_measurements(*images, limit_mb=1) == [used, [0, 0]]


def test_images_of_the_online_knn_that_do_not_fit_are_decoded_each_time():
    assert decoded_by_measurements(300, 100, limit_mb=0) == [[300, 100]] * 2
