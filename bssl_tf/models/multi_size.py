"""One network for images of several sizes."""

import tensorflow as tf


def at_size(backbone: tf.keras.Model, image_size: int) -> tf.keras.Model:
    """The same layers, and so the same weights, for images of another size.

    Args:
        backbone: pixels (None, S, S, C) → features (None, width), convolutional with global pooling.
        image_size: the other S.

    Returns:
        A model from pixels (None, image_size, image_size, C) to features (None, width).

    Raises:
        ValueError: the layers do not fit that size, for instance because nothing is left after all strides.
    """
    pixels = tf.keras.Input((image_size, image_size, backbone.input_shape[-1]), name="pixels", dtype="float32")
    return tf.keras.models.clone_model(backbone, input_tensors=pixels, clone_function=lambda layer: layer)
