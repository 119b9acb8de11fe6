"""The first layer of every backbone."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bssl_tf.errors import UserError


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class PixelNormalisation(tf.keras.layers.Layer):
    """(pixels - mean) / std, channel by channel; no weights; float32 under every precision policy.

    Args:
        mean: one number a channel, in the pixels' own units.
        std: one number a channel, above 0.

    Raises:
        UserError: mean and std differ in length, a std is not above 0, or the input has other channels.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise UserError(
                f"mean and std need one number a channel, std above 0; received mean={self.mean}, std={self.std}."
            )

    def build(self, input_shape):
        if input_shape[-1] != len(self.mean):
            raise UserError(f"mean has {len(self.mean)} channels, but the images have {input_shape[-1]}.")
        super().build(input_shape)

    def call(self, pixels):
        return (pixels - tf.constant(self.mean)) / tf.constant(self.std)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "std": self.std}
