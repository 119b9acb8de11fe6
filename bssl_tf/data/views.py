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

import math

import tensorflow as tf

from bssl_tf.config import ViewSettings
from bssl_tf.data import colour
from bssl_tf.data.blur import gaussian_blur, is_visible
from bssl_tf.data.resample import crop_many, crop_one

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


def draw_views(key: tf.Tensor, num_views: int) -> tf.Tensor:
    """All random numbers of an image's views: uniform in [0, 1), float32 of shape (num_views, len(DRAWS))."""
    return tf.random.stateless_uniform([num_views, len(DRAWS)], key, alg="philox")


def random_crops(image: tf.Tensor, draws: tf.Tensor, image_size: int, settings: ViewSettings) -> tf.Tensor:
    """Crop an image at random, once for each row of ``draws``, resize the crops (bicubic, antialiased), mirror half.

    Args:
        image: (height, width, channels), uint8 or float32.
        draws: as from `draw_views`.
        image_size: height and width of the crops.

    Returns:
        uint8 of shape (num_views, image_size, image_size, channels).
    """
    if are_small(image.shape, image_size):
        return random_crops_of_batch(image[tf.newaxis], draws[tf.newaxis], image_size, settings)[0]
    extent = tf.cast(tf.shape(image)[:2], tf.float32)
    top_left, size = crop_boxes(extent, draws, settings.crop_min)
    flip = _flipped(draws, settings)
    crops = [crop_one(image, top_left[v], size[v], flip[v], image_size) for v in range(draws.shape[0])]
    crops = tf.ensure_shape(tf.stack(crops), (draws.shape[0], image_size, image_size, image.shape[-1]))
    return _to_uint8(crops)


def random_crops_of_batch(images: tf.Tensor, draws: tf.Tensor, image_size: int, settings: ViewSettings) -> tf.Tensor:
    """`random_crops` of many small images at once.

    Args:
        images: (batch, height, width, channels), uint8 or float32.
        draws: (batch, num_views, len(DRAWS)).
        image_size: height and width of the crops.

    Returns:
        uint8 of shape (batch, num_views, image_size, image_size, channels).
    """
    extent = tf.constant(images.shape[1:3].as_list(), tf.float32)
    top_left, size = crop_boxes(extent, draws, settings.crop_min)
    crops = crop_many(images, top_left, size, _flipped(draws, settings), image_size)
    return _to_uint8(crops)


def are_small(shape: tf.TensorShape, image_size: int) -> bool:
    """Whether images of this shape (…, height, width, channels) are best cropped a batch at a time."""
    sides = [*shape[-3:-1], image_size]
    return None not in sides and max(sides) <= _LARGEST_SMALL_SIDE


def _to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """The nearest whole values; half the time of `tf.saturate_cast(tf.round(…))`."""
    return tf.cast(tf.clip_by_value(pixels + 0.5, 0.0, 255.0), tf.uint8)


def _flipped(draws: tf.Tensor, settings: ViewSettings) -> tf.Tensor:
    return draws[..., DRAWS.index("flip")] < (0.5 if settings.flip else 0.0)


def crop_boxes(extent: tf.Tensor, draws: tf.Tensor, crop_min: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes of random area (crop_min … 1 of the image's) and random aspect ratio (3/4 … 4/3).

    Instead of drawing until a box fits, the aspect ratio is drawn from the part of its range in which
    the area fits. Where there is none (very long images) the largest box of an allowed ratio is taken.

    Args:
        extent: height and width of the image, float32 of shape (2,).
        draws: (…, len(DRAWS)).
        crop_min: smallest area.

    Returns:
        Top left corner and size of the boxes, each float32 of shape (…, 2).
    """
    area, ratio, top, left = (draws[..., DRAWS.index(name)] for name in ("area", "ratio", "top", "left"))
    height, width = extent[0], extent[1]
    area = crop_min + (1.0 - crop_min) * area
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

    On images of one channel saturation, hue and grey change nothing and are not computed. Of a batch of
    one image only what was drawn for it is computed.

    Args:
        crops: uint8 or float32 of shape (batch, size, size, channels), in 0..255.
        draws: (batch, len(DRAWS)).

    Returns:
        float32 of the shape of ``crops``, in 0..255.
    """
    draw = dict(zip(DRAWS, tf.unstack(draws, axis=-1)))
    images = tf.cast(crops, tf.float32)
    images = colour.join_planes(_recolour(colour.split_planes(images), draw, settings))
    largest_sigma = settings.blur_sigma * images.shape[1] / _SIGMA_IMAGE_SIZE
    if settings.blur_probability > 0.0 and is_visible(largest_sigma):
        smallest_sigma = min(_SIGMA_MIN * images.shape[1] / _SIGMA_IMAGE_SIZE, largest_sigma)
        sigma = smallest_sigma + (largest_sigma - smallest_sigma) * draw["sigma"]
        chosen = tf.where(draw["blur"] < settings.blur_probability)

        def blur_chosen():
            blurred = gaussian_blur(tf.gather_nd(images, chosen), tf.gather_nd(sigma, chosen), largest_sigma)
            return tf.tensor_scatter_nd_update(images, chosen, blurred)

        images = tf.cond(tf.size(chosen) > 0, blur_chosen, lambda: images)  # small batches may have none
    return images


def finish_batch(crops: tf.Tensor, draws: tf.Tensor, settings: ViewSettings) -> tuple[tf.Tensor, ...]:
    """`finish_views` for the crops of a batch of images.

    Args:
        crops: uint8 or float32 of shape (batch, num_views, size, size, channels), in 0..255.
        draws: (batch, num_views, len(DRAWS)).

    Returns:
        One tensor a view, float32 of shape (batch, size, size, channels), in 0..255.
    """
    return tuple(finish_views(crops[:, view], draws[:, view], settings) for view in range(draws.shape[1]))


def _recolour(planes: list[tf.Tensor], draw: dict, settings: ViewSettings) -> list[tf.Tensor]:
    is_rgb = len(planes) == 3
    if settings.jitter_probability > 0.0:
        jittered = draw["jitter"] < settings.jitter_probability
        planes = _for_chosen(jittered, planes, lambda: _jitter(planes, jittered, draw, settings))
    if settings.grey_probability > 0.0 and is_rgb:
        grey = draw["grey"] < settings.grey_probability
        kept = tf.cast(~grey, tf.float32)[:, tf.newaxis, tf.newaxis]
        planes = _for_chosen(grey, planes, lambda: colour.adjust_saturation(planes, kept))
    return planes


def _for_chosen(chosen: tf.Tensor, planes: list[tf.Tensor], changed) -> list[tf.Tensor]:
    """The changed planes of a batch, which leave alone what was not chosen; for a single image only if it was."""
    if planes[0].shape[0] != 1:
        return changed()
    return tf.cond(chosen[0], changed, lambda: planes)


def _jitter(planes: list[tf.Tensor], jittered: tf.Tensor, draw: dict, settings: ViewSettings) -> list[tf.Tensor]:
    def amount(name):
        symmetric = (2.0 * draw[name] - 1.0) * getattr(settings, name)
        return tf.where(jittered, symmetric, 0.0)[:, tf.newaxis, tf.newaxis]

    is_rgb = len(planes) == 3
    if settings.brightness > 0.0:
        planes = colour.adjust_brightness(planes, 1.0 + amount("brightness"))
    if settings.contrast > 0.0:
        planes = colour.adjust_contrast(planes, 1.0 + amount("contrast"))
    if settings.saturation > 0.0 and is_rgb:
        planes = colour.adjust_saturation(planes, 1.0 + amount("saturation"))
    if settings.hue > 0.0 and is_rgb:
        planes = colour.shift_hue(planes, amount("hue"))
    return planes
