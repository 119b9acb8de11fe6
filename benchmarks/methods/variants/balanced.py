"""BSSL, balanced, with its defaults and few options: what the ideas of this folder change."""

from typing import Annotated

import tensorflow as tf

from bssl_tf.methods.bssl import Bssl
from bssl_tf.methods.common.limits import Limits


class Balanced(Bssl):
    """Args: as those of `Bssl` with these names."""

    options_are_flags = False
    compares_images = True

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.1,
        pseudo_classes: Annotated[int, Limits(2, 1_000_000)] = 256,
        name: str = "bssl",
    ):
        super().__init__(teacher, backbone, temperature=temperature, pseudo_classes=pseudo_classes, name=name)
