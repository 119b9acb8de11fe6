"""The numbers that networks compute with."""

from collections.abc import Iterator
from contextlib import contextmanager

from bssl_tf.errors import ConfigError


@contextmanager
def precision_policy(precision: str) -> Iterator[None]:
    """Keras's precision policy within the block; the one before returns afterwards.

    Args:
        precision: one of `config.execution.PRECISIONS`.

    Raises:
        ConfigError: mixed_float16 without a GPU.
    """
    import tensorflow as tf

    if precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise ConfigError("--precision=mixed_float16 is for GPUs, and TensorFlow finds none: use mixed_bfloat16.")
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
