"""The small networks on top of a backbone: both classifiers of BSSL, and SimCLR's projection."""

import tensorflow as tf

from bssl_tf.models.normalisation import batch_norm


def _as_in_pytorch() -> tf.keras.initializers.Initializer:
    """Uniform in ±1 / √inputs."""
    return tf.keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")


def mlp_head(input_width: int, hidden: int, outputs: int, name: str) -> tf.keras.Model:
    """Dense, batch norm, ReLU, dense: two layers, and no batch norm after the last.

    Dense layers start as PyTorch's do. It matters in BSSL: the target's classifier is random at first, so its
    initial weights decide how sharp the first targets are.

    Args:
        input_width: length of the feature vector.
        hidden: units of the hidden layer. It has no bias, the batch norm brings one.
        outputs: length of the result.
        name: name of the model.

    Returns:
        A model from (None, input_width) to (None, outputs), in float32 under every precision policy.
    """
    features = tf.keras.Input((input_width,), name="features", dtype="float32")
    x = tf.keras.layers.Dense(hidden, use_bias=False, kernel_initializer=_as_in_pytorch(), dtype="float32")(features)
    x = batch_norm(dtype="float32")(x)
    x = tf.keras.layers.ReLU(dtype="float32")(x)
    x = tf.keras.layers.Dense(outputs, kernel_initializer=_as_in_pytorch(), dtype="float32")(x)
    return tf.keras.Model(features, x, name=name)
