"""Random numbers that depend on (run seed, epoch, image) alone, so that a resumed run draws the same ones.

Nothing here has a state. A key is two int64 numbers; `epoch_key` mixes seed, purpose and epoch into
one, `image_key` adds an image's id. Each step puts the key before it through TensorFlow's generator,
so (seed 1, epoch 2) and (seed 2, epoch 1) share nothing.
"""

import tensorflow as tf

ORDER = 1
VIEWS = 2


def epoch_key(seed: int, epoch: int | tf.Tensor, purpose: int) -> tf.Tensor:
    """Key of an epoch, int64 of shape (2,).

    Args:
        seed: seed of the run.
        epoch: int64 scalar, Python number or tensor.
        purpose: `ORDER` or `VIEWS`; keys of different purposes are unrelated.
    """
    key = tf.constant([seed, purpose], tf.int64)
    return tf.random.fold_in(key, tf.cast(epoch, tf.int64), alg="philox")


def image_key(key: tf.Tensor, image_id: tf.Tensor) -> tf.Tensor:
    """Key of one image in the epoch that ``key`` is of, int64 of shape (2,)."""
    return tf.random.fold_in(key, image_id, alg="philox")


def key_to_seed(key: tf.Tensor) -> tf.Tensor:
    """A key as the single int64 seed that stateful datasets (``Dataset.shuffle``) take."""
    return tf.random.stateless_uniform([], key, minval=None, maxval=None, dtype=tf.int64, alg="philox")
