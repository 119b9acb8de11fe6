import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.augmentation.views import finish_batch
from bssl_tf.data.pipeline import evaluation_images, pixel_statistics, steps_per_epoch, training_views
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.base import DataError
from bssl_tf.data.sources.folder import load as load_folder

UNCHANGED = ViewSettings(crop_min=1.0, flip=False, jitter_probability=0.0, grey_probability=0.0)


def grey_views(source, **options):
    """A list of (v1, v2) arrays."""
    defaults = dict(image_size=12, channels=1, views=ViewSettings(), seed=7, batch_size=8, epochs=3)
    dataset = training_views(source, **{**defaults, **options})
    return [tuple(view.numpy() for view in views) for (views,) in dataset]


@pytest.fixture(scope="module")
def whole_run(grey_source):
    """The 18 steps of three epochs."""
    return grey_views(grey_source)


def shown_images(source, **options):
    """Index of the image that each row of each batch shows, found by its pixels."""
    originals = np.concatenate(list(evaluation_images(source, image_size=12, channels=1)))
    index = {image.tobytes(): number for number, image in enumerate(originals)}
    batches = grey_views(source, views=UNCHANGED, **options)
    return [[index[row.tobytes()] for row in first] for first, _ in batches]


def test_shapes_are_static_and_the_element_is_a_tuple_of_views(grey_source):
    arguments = dict(image_size=16, channels=3, views=ViewSettings(), seed=0, batch_size=8, epochs=2)
    dataset = training_views(grey_source, **arguments, num_views=3)
    spec = tf.TensorSpec((8, 16, 16, 3), tf.uint8)
    assert dataset.element_spec == ((spec, spec, spec),)
    assert dataset.cardinality().numpy() == 12 == len(list(dataset))


def test_views_of_an_image_differ(whole_run):
    for first, second in whole_run:
        assert (np.abs(first.astype(int) - second).mean(axis=(1, 2, 3)) > 1.0).all()


def test_rows_of_both_views_show_the_same_image():
    levels = np.arange(0, 250, 5, dtype=np.uint8)
    source = ArraySource("plain", np.tile(levels.reshape(50, 1, 1, 1), (1, 12, 12, 1)))
    for first, second in grey_views(source, views=ViewSettings(jitter_probability=0.0)):
        np.testing.assert_array_equal(first, second)
        assert len(set(first[:, 0, 0, 0])) == 8


def test_a_rerun_is_identical_to_the_bit_whatever_the_global_seed(grey_source, whole_run):
    tf.random.set_seed(123)
    np.testing.assert_array_equal(grey_views(grey_source), whole_run)


def test_another_seed_gives_other_views(grey_source, whole_run):
    assert not np.array_equal(grey_views(grey_source, seed=8, epochs=1)[0], whole_run[0])


@pytest.mark.parametrize("start_step", [1, 5, 6, 17])
def test_resume_at_any_step_is_identical_to_the_bit(grey_source, whole_run, start_step):
    np.testing.assert_array_equal(grey_views(grey_source, start_step=start_step), whole_run[start_step:])


def test_resume_after_the_last_step_is_empty_and_beyond_is_an_error(grey_source):
    assert grey_views(grey_source, start_step=18) == []
    with pytest.raises(ValueError, match="0 … 18"):
        grey_views(grey_source, start_step=19)


def test_skipped_images_are_not_decoded(grey_source):
    decoded = []

    class Watched(ArraySource):
        def decode(self, record, short_side=None):
            tf.py_function(lambda indices: decoded.extend(np.ravel(indices)), [record], [])
            return super().decode(record)

    images = np.zeros((48, 12, 12, 1), np.uint8)
    assert len(grey_views(Watched("watched", images), epochs=1, start_step=5)) == 1
    assert len(decoded) == 8


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


def test_every_image_once_an_epoch_in_another_order(grey_source):
    batches = shown_images(grey_source, batch_size=10)
    epochs = [joined(batches[start : start + 5]) for start in (0, 5, 10)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != list(range(50))


def test_an_epoch_drops_the_remainder_and_not_always_the_same_images(grey_source):
    batches = shown_images(grey_source, batch_size=16)
    left_out = [set(range(50)) - set(joined(batches[start : start + 3])) for start in (0, 3, 6)]
    assert [len(each) for each in left_out] == [2, 2, 2] and len(set(map(frozenset, left_out))) > 1


def test_batch_larger_than_the_data_set(grey_source):
    assert steps_per_epoch(grey_source, 50) == 1
    with pytest.raises(DataError, match="--batch_size is 51, but noise has only 50 images"):
        grey_views(grey_source, batch_size=51)


def test_views_under_a_distribution_strategy(grey_source):
    dataset = training_views(
        grey_source, image_size=12, channels=1, views=ViewSettings(), seed=7, batch_size=8, epochs=1
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    distributed = [views[0].numpy() for (views,) in strategy.experimental_distribute_dataset(dataset)]
    np.testing.assert_array_equal(distributed, [first for first, _ in grey_views(grey_source, epochs=1)])


@pytest.mark.parametrize("workers, replicas", [(2, 2), (4, 4), (2, 8), (1, 2)])
def test_workers_share_every_batch_without_overlap_or_loss(grey_source, workers, replicas):
    whole = shown_images(grey_source, batch_size=16, epochs=2, start_step=2)
    elements = replicas // workers
    shares = [
        shown_images(
            grey_source, batch_size=16, epochs=2, start_step=2, workers=workers, worker=worker, replicas=replicas
        )
        for worker in range(workers)
    ]
    assert [len(share) for share in shares] == [elements * len(whole)] * workers
    assert {len(rows) for share in shares for rows in share} == {16 // replicas}
    for step, batch in enumerate(whole):
        rows = [joined(share[step * elements : (step + 1) * elements]) for share in shares]
        assert sorted(joined(rows)) == sorted(batch)


def test_shared_views_are_those_of_the_whole_batch(grey_source, whole_run):
    second = grey_views(grey_source, workers=2, worker=1, replicas=2)
    np.testing.assert_array_equal([view for view, _ in second], [view[1::2] for view, _ in whole_run])


def test_a_batch_that_cannot_be_shared_out_is_an_error(grey_source):
    with pytest.raises(ValueError, match="cannot share batches of 8"):
        grey_views(grey_source, workers=3, replicas=3)


def test_photos_of_all_sizes(nasty_folder):
    source = load_folder(nasty_folder, "train", holdout=0.0, progress=False)
    dataset = training_views(
        source, image_size=32, channels=3, views=ViewSettings(), seed=0, batch_size=11, epochs=2, start_step=1
    )
    ((first, second),) = next(iter(dataset))
    assert first.shape == (11, 32, 32, 3) and np.any(first != second)


def test_evaluation_keeps_images_of_the_right_size_and_their_order(grey_source):
    dataset = evaluation_images(grey_source, image_size=12, channels=1, batch_size=32)
    batches = [batch.numpy() for batch in dataset]
    assert [len(batch) for batch in batches] == [32, 18] and batches[0].dtype == np.uint8
    expected = [grey_source.decode(example["record"]) for example in grey_source.examples()]
    np.testing.assert_array_equal(np.concatenate(batches), expected)


def evaluation_image(pixels, image_size, channels=3):
    source = ArraySource("one", pixels[np.newaxis])
    (batch,) = evaluation_images(source, image_size=image_size, channels=channels)
    return batch[0].numpy()


def pillow_resize(pixels, width, height):
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)).astype(int)


def textured(height, width):
    small = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def test_a_photo_is_resized_to_256_of_224_and_cut_to_its_centre():
    pixels = textured(168, 252)
    expected = pillow_resize(pixels, 192, 128)[8:120, 40:152]
    assert np.abs(evaluation_image(pixels, 112) - expected).max() <= 2


def test_a_small_image_is_resized_whole():
    pixels = textured(24, 24)
    assert np.abs(evaluation_image(pixels, 56) - pillow_resize(pixels, 56, 56)).max() <= 2


def test_a_small_wide_image_keeps_its_proportions():
    pixels = textured(24, 48)
    expected = pillow_resize(pixels, 96, 48)[:, 24:72]
    assert np.abs(evaluation_image(pixels, 48) - expected).max() <= 2


def test_channels_are_converted():
    grey = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    np.testing.assert_array_equal(evaluation_image(grey, 8, channels=3), np.repeat(grey, 3, axis=-1))
    colours = np.zeros((8, 8, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    assert np.abs(evaluation_image(colours, 8, channels=1).astype(int) - 76).max() <= 1


@pytest.mark.parametrize("max_images", [20, 7])
def test_pixel_statistics(colour_source, max_images):
    images = np.concatenate(list(evaluation_images(colour_source, image_size=32, channels=3)))[:: 20 // max_images]
    mean, std = pixel_statistics(colour_source, image_size=32, channels=3, max_images=max_images)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, images.astype(float).std(axis=(0, 1, 2)), rtol=1e-6)
    assert all(isinstance(value, float) for value in mean + std)


def test_deviation_of_a_constant_image_can_be_divided_by():
    source = ArraySource("black", np.zeros((3, 8, 8, 1), np.uint8))
    assert pixel_statistics(source, image_size=8, channels=1) == ((0.0,), (1.0,))


@pytest.mark.parametrize("size", [32, 80], ids=["by the batch", "one by one"])
def test_views_finished_later_are_the_same(colour_source, size):
    arguments = dict(image_size=size, channels=3, views=ViewSettings(), seed=2, batch_size=10, epochs=1)
    finished = training_views(colour_source, **arguments)
    unfinished = training_views(colour_source, **arguments, finish=False)
    assert unfinished.element_spec[0][0] == tf.TensorSpec((10, 2, size, size, 3), tf.uint8)
    for (views,), ((crops, draws),) in zip(finished, unfinished, strict=True):
        for view, later in zip(views, finish_batch(crops, draws, ViewSettings()), strict=True):
            np.testing.assert_allclose(tf.cast(view, tf.int32), tf.cast(later, tf.int32), atol=1)
