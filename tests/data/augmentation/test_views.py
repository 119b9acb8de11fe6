import colorsys
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.augmentation import colour
from bssl_tf.data.augmentation.blur import blur_and_set_upright, gaussian_blur
from bssl_tf.data.augmentation.crop import crop_each, set_upright
from bssl_tf.data.augmentation.randomness import ORDER, VIEWS, epoch_key, image_key
from bssl_tf.data.augmentation.views import (
    DRAWS,
    crop_boxes,
    draw_views,
    finish_views,
    random_crops,
    random_crops_of_batch,
    views_of_image,
)

PLAIN = ViewSettings(crop_min=1.0, flip=False, jitter_probability=0.0, grey_probability=0.0, blur_probability=0.0)


def draws_of(seed=0, epoch=0, image_id=0, num_views=2, purpose=VIEWS):
    key = image_key(epoch_key(seed, epoch, purpose), tf.constant(image_id, tf.int64))
    return draw_views(key, num_views).numpy()


def random_draws(count, seed=0):
    return tf.constant(np.random.default_rng(seed).random((count, len(DRAWS)), dtype=np.float32))


def smooth_image(height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    small = tf.constant(rng.integers(0, 256, (4, 4, channels)), tf.float32)
    return tf.clip_by_value(tf.image.resize(small, (height, width), "bicubic"), 0, 255)


def test_draws_differ_in_view_image_epoch_seed_and_purpose():
    base = draws_of()
    np.testing.assert_array_equal(base, draws_of())
    assert not np.any(base[0] == base[1])
    for other in (dict(seed=1), dict(epoch=1), dict(image_id=1), dict(purpose=ORDER)):
        assert not np.any(base == draws_of(**other))


def test_draws_do_not_collide_where_numbers_are_swapped():
    triples = [(s, e, i) for s in range(5) for e in range(5) for i in range(5)]
    assert len({draws_of(*triple).tobytes() for triple in triples}) == len(triples)


def test_the_number_of_views_does_not_change_the_first():
    np.testing.assert_array_equal(draws_of(num_views=4)[:2], draws_of(num_views=2))


@pytest.mark.parametrize("height, width", [(32, 32), (100, 130), (130, 100), (10, 400), (400, 10), (1, 1)])
def test_crop_boxes_lie_inside_and_have_allowed_areas_and_ratios(height, width):
    extent = tf.constant([height, width], tf.float32)
    top_left, size = (each.numpy() for each in crop_boxes(extent, random_draws(2000), crop_min=0.2))
    assert (top_left >= 0).all() and (top_left + size <= np.array([height, width]) * (1 + 1e-5)).all()
    ratio = size[:, 1] / size[:, 0]
    assert ratio.min() > 3 / 4 - 1e-4 and ratio.max() < 4 / 3 + 1e-4
    if max(height, width) < 1.34 * min(height, width):
        area = size.prod(axis=1) / (height * width)
        assert 0.2 - 1e-4 < area.min() < 0.21 and 0.98 < area.max() < 1 + 1e-4


@pytest.mark.parametrize("side", [20, 80])
def test_whole_image_at_its_own_size_is_unchanged(side):
    image = tf.round(smooth_image(side, side, 3))
    crops = random_crops(image, random_draws(2), side, PLAIN)
    np.testing.assert_array_equal(crops, np.stack([image, image]))
    np.testing.assert_allclose(finish_views(crops, random_draws(2), PLAIN), crops)


@pytest.mark.parametrize("height, width, size", [(48, 64, 16), (48, 64, 60), (192, 256, 64), (192, 256, 224)])
def test_crop_agrees_with_an_independent_resize(height, width, size):
    image = np.asarray(smooth_image(height, width, 3))
    draws = random_draws(4)
    top_left, box_size = (each.numpy() for each in crop_boxes(tf.constant([height, width], tf.float32), draws, 0.2))
    crops = random_crops(tf.constant(image), draws, size, ViewSettings(flip=False)).numpy()
    for crop, (top, left), (box_height, box_width) in zip(crops, top_left, box_size, strict=True):
        for channel in range(3):
            expected = Image.fromarray(image[..., channel]).resize(
                (size, size), Image.Resampling.BICUBIC, box=(left, top, left + box_width, top + box_height)
            )
            np.testing.assert_allclose(crop[..., channel], np.clip(expected, 0, 255), atol=2)


@pytest.mark.parametrize("channels, size", [(1, 28), (3, 20)])
def test_small_images_cropped_by_the_batch_and_large_ones_one_by_one_give_the_same(channels, size):
    images = tf.stack([smooth_image(24, 30, channels, seed) for seed in range(5)])
    draws = tf.reshape(random_draws(10), (5, 2, -1))
    crops = random_crops_of_batch(images, draws, size, ViewSettings())
    top_left, box_size = crop_boxes(tf.constant([24.0, 30.0]), draws, 0.2)
    flip = draws[..., DRAWS.index("flip")] < 0.5
    for image in range(5):
        ones = crop_each(images[image], top_left[image], box_size[image], flip[image], size)
        for crop, one in zip(crops[image], ones, strict=True):
            np.testing.assert_allclose(crop, np.clip(set_upright(one), 0, 255), atol=0.51)


@pytest.mark.parametrize("side", [8, 80])
def test_flip_mirrors_half_of_the_views(side):
    settings = dataclasses.replace(PLAIN, flip=True)
    draws = random_draws(100)
    image = np.round(smooth_image(side, side, 1))
    chosen = draws.numpy()[:, DRAWS.index("flip")] < 0.5
    for mirrored, crop in zip(chosen, random_crops(tf.constant(image), draws, side, settings).numpy(), strict=True):
        np.testing.assert_array_equal(crop, image[:, ::-1] if mirrored else image)
    assert 30 < chosen.sum() < 70


def test_views_made_one_by_one_are_those_of_the_batch():
    images = tf.stack([smooth_image(64, 64, 3, seed) for seed in range(12)])
    draws = random_draws(12)
    batch = finish_views(images, draws, ViewSettings())
    for row in range(12):
        one = finish_views(images[row : row + 1], draws[row : row + 1], ViewSettings())
        np.testing.assert_allclose(tf.cast(one[0], tf.int32), tf.cast(batch[row], tf.int32), atol=1)


def apply(operation, images, *arguments):
    return colour.join_planes(operation(colour.split_planes(tf.constant(images)), *arguments)).numpy()


@pytest.fixture
def images():
    return np.random.default_rng(3).random((4, 6, 5, 3), dtype=np.float32) * 255


@pytest.fixture
def factors():
    return np.array([0.6, 1.0, 1.4, 0.0], np.float32).reshape(4, 1, 1)


def test_brightness(images, factors):
    expected = np.clip(images * factors[..., None], 0, 255)
    np.testing.assert_allclose(apply(colour.adjust_brightness, images, factors), expected, rtol=1e-5)


def test_contrast(images, factors):
    factor = factors[..., None]
    mean = (images @ np.array([0.299, 0.587, 0.114], np.float32)).mean(axis=(1, 2)).reshape(4, 1, 1, 1)
    expected = np.clip(mean + (images - mean) * factor, 0, 255)
    np.testing.assert_allclose(apply(colour.adjust_contrast, images, factors), expected, atol=1e-3)


def test_saturation(images, factors):
    luma = (images @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    expected = np.clip(luma + (images - luma) * factors[..., None], 0, 255)
    np.testing.assert_allclose(apply(colour.adjust_saturation, images, factors), expected, atol=1e-3)


def test_hue_agrees_with_the_standard_library(images):
    images[0, 0, 0], images[0, 0, 1], images[0, 0, 2] = 0, 255, (90, 90, 10)
    shifts = np.array([-0.5, -0.1, 0.0, 0.3], np.float32)
    shifted = apply(colour.shift_hue, images, shifts.reshape(4, 1, 1))
    for index in np.ndindex(4, 6, 5):
        hue, saturation, value = colorsys.rgb_to_hsv(*images[index].tolist())
        expected = colorsys.hsv_to_rgb((hue + float(shifts[index[0]])) % 1.0, saturation, value)
        np.testing.assert_allclose(shifted[index], expected, atol=1e-2)


@pytest.mark.parametrize("largest", [0.6, 2.0])
def test_blur_agrees_with_scipy(images, largest):
    images = np.asarray(tf.image.resize(images, (30, 30)))
    sigmas = np.array([0.2, 0.5, 1.0, 2.0], np.float32) * largest / 2
    planes = tf.constant(images.transpose(0, 3, 1, 2))
    blurred = gaussian_blur(planes, tf.constant(sigmas), largest).numpy()
    for image, sigma, result in zip(planes, sigmas, blurred, strict=True):
        expected = image
        for axis in (1, 2):
            radius = int(np.ceil(3 * sigma))
            expected = gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=radius)
        np.testing.assert_allclose(result, expected, atol=1e-2)


@pytest.mark.parametrize("sigma", [0.2, 0.9, 5.0])
def test_blur_of_one_image_is_that_of_a_batch(images, sigma):
    planes = tf.transpose(tf.image.resize(images, (12, 12)), (0, 3, 1, 2))
    sigma = tf.constant(sigma)
    expected = gaussian_blur(planes, tf.fill([4], sigma), 5.0)
    for image, blurred in zip(planes, expected, strict=True):
        upright = blur_and_set_upright(tf.transpose(image, (2, 0, 1)), sigma)
        np.testing.assert_allclose(tf.transpose(upright, (2, 0, 1)), blurred, atol=1e-2)


def test_each_share_of_views_is_changed_and_the_others_are_not():
    noise = tf.round(tf.random.stateless_uniform((1, 64, 64, 3), (1, 2), maxval=255.0))
    images = tf.tile(noise, (400, 1, 1, 1))
    draws = random_draws(400)
    for name in ("jitter", "grey", "blur"):
        settings = dataclasses.replace(PLAIN, **{f"{name}_probability": 0.3})
        changed = tf.cast(finish_views(images, draws, settings), tf.float32)
        change = np.abs(changed - images).max(axis=(1, 2, 3))
        chosen = draws.numpy()[:, DRAWS.index(name)] < 0.3
        assert change[~chosen].max() < 1e-3 and np.median(change[chosen]) > 0.1 and 80 < chosen.sum() < 160


@pytest.mark.parametrize("height, width, size", [(40, 30, 24), (120, 90, 80)])
def test_views_of_an_image_are_those_of_its_crops(height, width, size):
    image = tf.cast(smooth_image(height, width, 3), tf.uint8)
    draws = random_draws(24)
    views = tf.stack(views_of_image(image, draws, size, ViewSettings()))
    expected = finish_views(random_crops(image, draws, size, ViewSettings()), draws, ViewSettings())
    assert views.dtype == tf.uint8 and views.shape == (24, size, size, 3)
    difference = np.abs(tf.cast(views, tf.int32) - tf.cast(expected, tf.int32))
    assert difference.max() <= 1 and difference.mean() < 1e-3


def test_grey_views_have_equal_channels():
    settings = dataclasses.replace(PLAIN, grey_probability=1.0)
    views = finish_views(smooth_image(8, 8, 3)[tf.newaxis], random_draws(1), settings).numpy()
    np.testing.assert_array_equal(views[..., 0], views[..., 2])


def test_views_stay_in_range_at_full_strength():
    settings = ViewSettings(jitter_probability=1.0, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5)
    views = finish_views(tf.random.uniform((64, 16, 16, 3), maxval=255.0), random_draws(64), settings).numpy()
    assert views.dtype == np.uint8 and views.min() == 0 and views.max() == 255


@pytest.mark.parametrize("channels, image_size, absent", [(1, 64, "Sign"), (3, 28, "DepthwiseConv2dNative")])
def test_what_changes_nothing_is_not_computed(channels, image_size, absent):
    def operations(channels, image_size):
        function = tf.function(lambda crops, draws: finish_views(crops, draws, ViewSettings()))
        graph = function.get_concrete_function(
            tf.TensorSpec((4, image_size, image_size, channels)), tf.TensorSpec((4, len(DRAWS)))
        ).graph.as_graph_def()
        branches = [node for branch in graph.library.function for node in branch.node_def]
        return {node.op for node in [*graph.node, *branches]}

    assert absent in operations(3, 64)
    assert absent not in operations(channels, image_size)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_a_batch_in_which_no_image_is_blurred_stays_as_it_is(wrap):
    settings = dataclasses.replace(PLAIN, blur_probability=0.2)
    images = tf.round(tf.random.stateless_uniform((2, 96, 96, 3), (0, 1), maxval=255.0))
    draws = tf.fill((2, len(DRAWS)), 0.99)
    finished = wrap(lambda images, draws: finish_views(images, draws, settings))(images, draws)
    np.testing.assert_array_equal(finished, images)
