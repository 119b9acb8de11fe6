"""Balanced assignments of a whole batch: what keeps a target of pseudo-classes or prototypes from collapsing."""

import tensorflow as tf

from bssl_tf.losses import sinkhorn
from bssl_tf.methods.common.distributed import global_batch, own_rows


def balanced_assignments(scores: tf.Tensor, epsilon: float, iterations: int) -> tf.Tensor:
    """Assign the images of the global batch so that all classes are used equally, without gradient.

    Args:
        scores: (batch / n, classes), cosine similarities of this replica's images.
        epsilon: ε > 0 of `bssl_tf.losses.sinkhorn`.
        iterations: of it.

    Returns:
        (batch / n, classes) float32: each row a distribution.
    """
    return own_rows(sinkhorn(global_batch(tf.stop_gradient(scores)), epsilon, iterations))
