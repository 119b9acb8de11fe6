"""The recipe's colour jitter and greying, of batches or of one view.

Brightness, contrast, saturation and hue come in this order; torchvision's ColorJitter draws an order for each view.
"""

from collections.abc import Callable

import tensorflow as tf

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.augmentation import colour

Draw = dict[str, tf.Tensor]
"""Random numbers by their names in `views.DRAWS`, each of shape (batch,)."""


def jitter_and_grey(planes: list[tf.Tensor], draw: Draw, settings: ViewSettings) -> list[tf.Tensor]:
    """Change the views that were drawn for it, leave the others what they are.

    Args:
        planes: see `bssl_tf.data.augmentation.colour`.
        draw: of each view.
        settings: strengths and probabilities.
    """
    if settings.jitter_probability > 0.0:
        planes = _jitter(planes, is_jittered(draw, settings), draw, settings)
    if settings.grey_probability > 0.0 and len(planes) == 3:
        kept = tf.cast(~is_grey(draw, settings), tf.float32)[:, tf.newaxis, tf.newaxis]
        planes = colour.adjust_saturation(planes, kept)
    return planes


def jitter_and_grey_one(planes: list[tf.Tensor], draw: Draw, settings: ViewSettings) -> list[tf.Tensor]:
    """The same for a batch of one view, of which only what was drawn is computed."""
    if settings.jitter_probability > 0.0:
        jittered = is_jittered(draw, settings)
        planes = _if(jittered[0], lambda: _jitter(planes, jittered, draw, settings), planes)
    if settings.grey_probability > 0.0 and len(planes) == 3:
        none = tf.zeros((1, 1, 1))
        planes = _if(is_grey(draw, settings)[0], lambda: colour.adjust_saturation(planes, none), planes)
    return planes


def is_jittered(draw: Draw, settings: ViewSettings) -> tf.Tensor:
    """Which views have their colours jittered; bool of the shape of a draw."""
    return draw["jitter"] < settings.jitter_probability


def is_grey(draw: Draw, settings: ViewSettings) -> tf.Tensor:
    """Which views turn grey; bool of the shape of a draw."""
    return draw["grey"] < settings.grey_probability


def _if(chosen: tf.Tensor, changed: Callable[[], list[tf.Tensor]], planes: list[tf.Tensor]) -> list[tf.Tensor]:
    return tf.nest.flatten(
        tf.cond(chosen, changed, lambda: planes)
    )  # tf.cond gives a list of one tensor as that tensor


def _jitter(planes: list[tf.Tensor], jittered: tf.Tensor, draw: Draw, settings: ViewSettings) -> list[tf.Tensor]:
    def amount(name: str) -> tf.Tensor:
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
        planes = colour.shift_hue(planes, amount("hue"), settings.hue)
    return planes
