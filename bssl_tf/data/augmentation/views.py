"""Random views of an image: what the networks see while they learn, drawn without any state.

    draws = draw_views(image_key(epoch_key(seed, epoch, VIEWS), image_id), num_views=2)
    crops = random_crops(image, draws, image_size, settings)        # per image: (2, size, size, C)
    views = finish_views(crops, draws, settings)                    # the rest, on any batch of crops

All numbers of an image come from a single draw, one row a view, so views differ by construction and
depend on nothing but the key. Cropping is done image by image, as sizes differ; all else works on
batches of static shape with tensors of random numbers, on whatever device. Images are in pixel units.

The recipe (crop, flip, jitter, grey, blur) is MoCo v2's (https://arxiv.org/abs/2003.04297) in the
lighter strength that suits binary networks (https://arxiv.org/abs/2110.08851).
"""

import dataclasses
import math

import tensorflow as tf

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.augmentation import colour
from bssl_tf.data.augmentation.blur import blur_and_set_upright, gaussian_blur, is_visible
from bssl_tf.data.augmentation.crop import crop_each, crop_many, set_upright
from bssl_tf.data.augmentation.jitter import is_grey, is_jittered, jitter_and_grey, jitter_and_grey_one

VIEWS_VERSION = 2
"""Raised whenever the same draws come to give other pixels: what was computed from views is then out of date."""

DRAWS = (
    "area",
    "ratio",
    "top",
    "left",
    "flip",
    "jitter",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "grey",
    "blur",
    "sigma",
)
_LOG_RATIO = math.log(4 / 3)
_SIGMA_MIN = 0.1
_SIGMA_IMAGE_SIZE = 224
_LARGEST_SMALL_SIDE = 64
_SMALLEST_LOCAL_CROP = 0.05


def local_crops(settings: ViewSettings, image_size: int) -> tuple[int, ViewSettings]:
    """Size of the local crops of multi-crop (https://arxiv.org/abs/2006.09882), and the settings that draw them."""
    local = dataclasses.replace(settings, crop_min=_SMALLEST_LOCAL_CROP, crop_max=settings.local_crop_max)
    return settings.local_crop_size or round(image_size * 3 / 7), local


def draw_views(key: tf.Tensor, num_views: int) -> tf.Tensor:
    """All random numbers of an image's views: uniform in [0, 1), float32 of shape (num_views, len(DRAWS))."""
    return tf.random.stateless_uniform([num_views, len(DRAWS)], key, alg="philox")


def random_crops(image: tf.Tensor, draws: tf.Tensor, image_size: int, settings: ViewSettings) -> tf.Tensor:
    """Crop an image at random, once for each row of ``draws``, resize the crops (bicubic, antialiased), mirror half.

    Args:
        image: (height, width, channels), uint8 or float32.
        draws: as from `draw_views`.
        image_size: height and width of the crops.
        settings: augmentation.

    Returns:
        uint8 of shape (num_views, image_size, image_size, channels).
    """
    if are_small(image.shape, image_size):
        return random_crops_of_batch(image[tf.newaxis], draws[tf.newaxis], image_size, settings)[0]
    crops = _crops_on_side(image, draws, image_size, settings)
    return tf.stack([_to_uint8(set_upright(crop)) for crop in crops])


def views_of_image(
    image: tf.Tensor, draws: tf.Tensor, image_size: int, settings: ViewSettings
) -> tuple[tf.Tensor, ...]:
    """What `random_crops` and `finish_views` make of one image, in less time.

    Args:
        image: as for `random_crops`, like the next three.
        draws: random numbers.
        image_size: height and width of the views.
        settings: augmentation.

    Returns:
        One tensor a view, uint8 of shape (image_size, image_size, channels).
    """
    draws_of_views = tf.split(draws, draws.shape[0])
    if are_small(image.shape, image_size):
        crops = tf.split(random_crops(image, draws, image_size, settings), draws.shape[0])
        return tuple(finish_views(*each, settings)[0] for each in zip(crops, draws_of_views, strict=True))
    crops = _crops_on_side(image, draws, image_size, settings)
    return tuple(_finish_one(*each, settings) for each in zip(crops, draws_of_views, strict=True))


def _crops_on_side(image: tf.Tensor, draws: tf.Tensor, image_size: int, settings: ViewSettings) -> list[tf.Tensor]:
    """Crops of whole numbers, each (columns, channels, rows)."""
    extent = tf.cast(tf.shape(image)[:2], tf.float32)
    top_left, size = crop_boxes(extent, draws, settings.crop_min, settings.crop_max)
    crops = crop_each(image, top_left, size, _flipped(draws, settings), image_size)
    return [tf.floor(tf.clip_by_value(crop + 0.5, 0.0, 255.0)) for crop in crops]


def _finish_one(crop: tf.Tensor, draws: tf.Tensor, settings: ViewSettings) -> tf.Tensor:
    """`finish_views` of one crop that lies on its side: (size, size, channels), upright."""
    draw = _by_name(draws)
    chosen = is_jittered(draw, settings) | is_grey(draw, settings)

    def recoloured() -> tf.Tensor:
        planes = tf.unstack(crop[tf.newaxis], axis=2)
        return tf.stack(jitter_and_grey_one(planes, draw, settings), axis=2)[0]

    crop = tf.cond(chosen[0], recoloured, lambda: crop)
    blur = _sigmas(draw, crop.shape[0], settings)
    if blur is None:
        return _to_uint8(set_upright(crop))
    sigma, _ = blur
    is_blurred = draw["blur"][0] < settings.blur_probability
    return _to_uint8(tf.cond(is_blurred, lambda: blur_and_set_upright(crop, sigma[0]), lambda: set_upright(crop)))


def random_crops_of_batch(images: tf.Tensor, draws: tf.Tensor, image_size: int, settings: ViewSettings) -> tf.Tensor:
    """`random_crops` of many small images at once.

    Args:
        images: (batch, height, width, channels), uint8 or float32.
        draws: (batch, num_views, len(DRAWS)).
        image_size: height and width of the crops.
        settings: augmentation.

    Returns:
        uint8 of shape (batch, num_views, image_size, image_size, channels).
    """
    extent = tf.constant(images.shape[1:3].as_list(), tf.float32)
    top_left, size = crop_boxes(extent, draws, settings.crop_min, settings.crop_max)
    crops = crop_many(images, top_left, size, _flipped(draws, settings), image_size)
    return _to_uint8(tf.clip_by_value(crops, 0.0, 255.0))


def are_small(shape: tf.TensorShape, image_size: int) -> bool:
    """Whether images of this shape (…, height, width, channels) are best cropped a batch at a time."""
    sides = [*shape[-3:-1], image_size]
    return None not in sides and max(sides) <= _LARGEST_SMALL_SIDE


def _to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """The nearest whole values of pixels in 0..255; half the time of `tf.saturate_cast(tf.round(…))`."""
    return tf.cast(pixels + 0.5, tf.uint8)


def _flipped(draws: tf.Tensor, settings: ViewSettings) -> tf.Tensor:
    return draws[..., DRAWS.index("flip")] < (0.5 if settings.flip else 0.0)


def crop_boxes(
    extent: tf.Tensor, draws: tf.Tensor, crop_min: float, crop_max: float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes of random area (crop_min … crop_max of the image's) and random aspect ratio (3/4 … 4/3).

    Instead of drawing until a box fits, the aspect ratio is drawn from the part of its range in which
    the area fits. Where there is none (very long images) the largest box of an allowed ratio is taken.

    Args:
        extent: height and width of the image, float32 of shape (2,).
        draws: (…, len(DRAWS)).
        crop_min: smallest area.
        crop_max: largest area.

    Returns:
        Top left corner and size of the boxes, each float32 of shape (…, 2).
    """
    area, ratio, top, left = (draws[..., DRAWS.index(name)] for name in ("area", "ratio", "top", "left"))
    height, width = extent[0], extent[1]
    area = crop_min + (crop_max - crop_min) * area
    lowest = tf.clip_by_value(tf.math.log(area * width / height), -_LOG_RATIO, _LOG_RATIO)
    highest = tf.clip_by_value(tf.math.log(width / (height * area)), -_LOG_RATIO, _LOG_RATIO)
    half_ratio = tf.exp(0.5 * (lowest + (highest - lowest) * ratio))
    side = tf.sqrt(area * height * width)
    size = tf.stack([side / half_ratio, side * half_ratio], axis=-1)
    size *= tf.minimum(tf.reduce_min(extent / size, axis=-1, keepdims=True), 1.0)
    size = tf.minimum(size, extent)  # against rounding
    return (extent - size) * tf.stack([top, left], axis=-1), size


def finish_views(crops: tf.Tensor, draws: tf.Tensor, settings: ViewSettings) -> tf.Tensor:
    """Jitter, turn grey and blur a batch of crops, on whatever device.

    On images of one channel saturation, hue and grey change nothing and are not computed.

    Args:
        crops: uint8 or float32 of shape (batch, size, size, channels), in 0..255.
        draws: (batch, len(DRAWS)).
        settings: augmentation.

    Returns:
        uint8 of the shape of ``crops``.
    """
    draw = _by_name(draws)
    planes = jitter_and_grey(colour.split_planes(tf.cast(crops, tf.float32)), draw, settings)
    blur = _sigmas(draw, crops.shape[1], settings)
    if blur is not None:
        planes = _blur_chosen(planes, draw["blur"] < settings.blur_probability, *blur)
    return _to_uint8(colour.join_planes(planes))


def _by_name(draws: tf.Tensor) -> dict[str, tf.Tensor]:
    return dict(zip(DRAWS, tf.unstack(draws, axis=-1), strict=True))


def can_blur(settings: ViewSettings, image_size: int) -> bool:
    """Whether any view is blurred: on small images even the largest blur would be invisible, and is left out."""
    return settings.blur_probability > 0 and is_visible(settings.blur_sigma * image_size / _SIGMA_IMAGE_SIZE)


def _sigmas(draw: dict, image_size: int, settings: ViewSettings) -> tuple[tf.Tensor, float] | None:
    """Standard deviation of each view's blur and the largest that there can be, in pixels; None where nothing blurs."""
    largest = settings.blur_sigma * image_size / _SIGMA_IMAGE_SIZE
    if not can_blur(settings, image_size):
        return None
    smallest = min(_SIGMA_MIN * image_size / _SIGMA_IMAGE_SIZE, largest)
    return smallest + (largest - smallest) * draw["sigma"], largest


def _blur_chosen(planes: list[tf.Tensor], chosen: tf.Tensor, sigma: tf.Tensor, largest: float) -> list[tf.Tensor]:
    rows = tf.where(chosen)

    def blur_rows() -> tf.Tensor:
        images = tf.stack(planes, axis=1)
        blurred = gaussian_blur(tf.gather_nd(images, rows), tf.gather_nd(sigma, rows), largest)
        return tf.unstack(tf.tensor_scatter_nd_update(images, rows, blurred), axis=1)

    # Small batches may have none. tf.cond gives a list of one tensor as that tensor.
    return tf.nest.flatten(tf.cond(tf.size(rows) > 0, blur_rows, lambda: planes))


def finish_batch(crops: tf.Tensor, draws: tf.Tensor, settings: ViewSettings) -> tuple[tf.Tensor, ...]:
    """`finish_views` for the crops of a batch of images.

    Args:
        crops: uint8 or float32 of shape (batch, num_views, size, size, channels), in 0..255.
        draws: (batch, num_views, len(DRAWS)).
        settings: augmentation.

    Returns:
        One tensor a view, uint8 of shape (batch, size, size, channels).
    """
    return tuple(finish_views(crops[:, view], draws[:, view], settings) for view in range(draws.shape[1]))
