import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.pipeline import evaluation_images, training_views
from bssl_tf.data.sources import tfds as tfds_source
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.base import DataError


def load(data_dir, split="train", **options):
    return tfds_source.load("fashion_mnist", split, data_dir=str(data_dir), **options)


def pixels(source):
    return np.concatenate(list(evaluation_images(source, image_size=28, channels=1)))


@pytest.fixture(scope="module")
def streaming(data_dir):
    return load(data_dir, in_memory_bytes=0)


def test_both_ways_give_what_tfds_gives(data_dir, streaming):
    in_memory = load(data_dir)
    assert isinstance(in_memory, ArraySource) and isinstance(streaming, tfds_source.StreamingSource)
    expected = list(tfds.load("fashion_mnist", split="train", data_dir=data_dir, download=False))
    for source in (in_memory, streaming):
        assert source.num_examples == 60 and source.image_shape == (28, 28, 1)
        assert source.class_names[:2] == ["T-shirt/top", "Trouser"]
        np.testing.assert_array_equal(pixels(source), [example["image"] for example in expected])
        np.testing.assert_array_equal(source.labels, [example["label"] for example in expected])
        assert source.labels.dtype == np.int64


def test_streaming_reads_every_image_once_an_epoch_in_another_order(streaming):
    def ids(epoch, seed=0):
        return [int(example["id"]) for example in streaming.examples(epoch, seed)]

    fixed = ids(None)
    assert len(set(fixed)) == 60 and fixed == ids(None)
    assert sorted(ids(0)) == sorted(ids(1)) == sorted(fixed)
    assert ids(0) == ids(0) and len({tuple(order) for order in (fixed, ids(0), ids(1), ids(0, seed=1))}) == 4


def test_ids_stay_with_their_images(streaming):
    def pairs(epoch):
        return {int(example["id"]): example["record"].numpy() for example in streaming.examples(epoch)}

    assert pairs(None) == pairs(3)


@pytest.mark.parametrize("start_step", [3, 9])
def test_streaming_resumes_to_the_bit(streaming, start_step):
    def batches(start):
        dataset = training_views(
            streaming,
            image_size=28,
            channels=1,
            views=ViewSettings(),
            seed=5,
            batch_size=8,
            epochs=2,
            start_step=start,
        )
        return [np.stack(views) for (views,) in dataset]

    np.testing.assert_array_equal(batches(start_step), batches(0)[start_step:])


@pytest.mark.parametrize("in_memory_bytes", [0, 10**9])
def test_limit_takes_the_same_first_images_in_every_epoch(data_dir, in_memory_bytes):
    source = load(data_dir, max_images=10, in_memory_bytes=in_memory_bytes)
    everything = load(data_dir)
    assert source.num_examples == 10
    np.testing.assert_array_equal(pixels(source), pixels(everything)[:10])
    np.testing.assert_array_equal(source.labels, everything.labels[:10])
    first, second = ({int(example["id"]) for example in source.examples(epoch)} for epoch in (0, 1))
    assert first == second and len(first) == 10


def test_part_of_a_split(data_dir):
    assert load(data_dir, "train[:25%]").num_examples == 15
    assert load(data_dir, "train+test").num_examples == 80


def test_unknown_split_names_those_that_exist(data_dir):
    for split in ("validation", "train[:x%]", "all[:10%]"):
        with pytest.raises(DataError, match="--test_split=.* is not a split of tfds:fashion_mnist, .*train"):
            load(data_dir, split, flag="--test_split")


def test_data_set_that_is_not_prepared(tmp_path):
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    for part in ("--dataset=tfds:fashion_mnist", "--data_dir", "tfds.load", "prepare_fashion_mnist"):
        assert part in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_unknown_data_set_offers_close_names(data_dir):
    with pytest.raises(DataError, match="fashion_mnits is not a data set.*fashion_mnist"):
        tfds_source.load("fashion_mnits", "train", data_dir=str(data_dir))
    with pytest.raises(DataError, match="nonsense.*Available"):
        tfds_source.load("emnist/nonsense", "train", data_dir=str(data_dir))


class Shapes(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Photos of several sizes with labels unknown (-1), as test splits have them."""

    VERSION = tfds.core.Version("1.0.0")
    name = "shapes"
    feature = "image"

    def _info(self):
        features = {self.feature: tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=3)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(9):
            yield index, {self.feature: np.full((20 + index, 30, 3), 10 * index, np.uint8), "label": -1}


class Pictures(Shapes, skip_registration=True):
    name = "pictures"
    feature = "picture"


def test_photos_of_several_sizes_stream_and_unknown_labels_are_none(tmp_path):
    in_three_files = tfds.download.DownloadConfig(num_shards=3)
    Shapes(data_dir=tmp_path).download_and_prepare(download_config=in_three_files)
    source = tfds_source.load("shapes", "train", data_dir=str(tmp_path))
    assert isinstance(source, tfds_source.StreamingSource) and source.image_shape == (None, None, 3)
    assert source.labels is None
    shapes = {source.decode(example["record"]).shape for example in source.examples()}
    assert shapes == {tf.TensorShape((20 + index, 30, 3)) for index in range(9)}
    orders = [tuple(int(example["id"]) for example in source.examples(epoch)) for epoch in (None, 0, 0, 1)]
    assert orders[1] == orders[2] and len(set(orders)) == 3
    assert len({frozenset(order) for order in orders}) == 1


def test_data_set_without_images(tmp_path):
    Pictures(data_dir=tmp_path).download_and_prepare()
    with pytest.raises(DataError, match="no feature 'image'.*features are picture, label"):
        tfds_source.load("pictures", "train", data_dir=str(tmp_path))
