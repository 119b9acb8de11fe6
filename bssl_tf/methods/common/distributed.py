"""What a training step needs to know of the replicas it runs on: the whole batch, and its share of the loss.

Under a `tf.distribute` strategy with n replicas every replica computes with its own n-th of the global batch.
Two rules make the result that of one replica with the whole batch:

- Optimizers *sum* gradients over the replicas, so each of them minimises `loss_share`, an n-th of its loss.
- What is no mean over images is computed from all images: `batch_mean` for moments, `global_batch` for
  contrastive negatives. Both hand gradients back to the replicas that the rows came from.

With one replica, or without a strategy, all of this is what it is on one device.
"""

from typing import Any

import tensorflow as tf

MEAN, SUM = tf.distribute.ReduceOp.MEAN, tf.distribute.ReduceOp.SUM


def loss_share(loss: tf.Tensor) -> tf.Tensor:
    """What a replica minimises of its loss, which is a mean over its own images or over all: the n-th part."""
    return loss / tf.distribute.get_strategy().num_replicas_in_sync


def batch_mean(rows: tf.Tensor) -> tf.Tensor:
    """Mean over the global batch: (batch / n, …) → (…)."""
    return _reduce(MEAN, tf.reduce_mean(rows, axis=0))


def replica_mean(value: tf.Tensor) -> tf.Tensor:
    """Mean over the replicas of what each has computed from its own images; without several of them, the value.

    What a sum over the own images is divided by in place of a sum over the global batch: the mean over the replicas
    of these quotients, which is what they report and minimise, is the quotient of the sums over the global batch.
    """
    return _reduce(MEAN, value)


def batch_variance(rows: tf.Tensor) -> tf.Tensor:
    """Variance over the global batch: (batch / n, …) → (…)."""
    return batch_mean(tf.square(rows - batch_mean(rows)))


def global_batch(rows: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas, in the order of the replicas: (batch / n, …) → (batch, …).

    A sum of blocks that are zero but for the own rows: one collective forward and one backward, where
    `ReplicaContext.all_gather` has several more because it allows for replicas with unequally many rows.
    """
    if not _several():
        return rows
    place = tf.one_hot(
        tf.distribute.get_replica_context().replica_id_in_sync_group,
        tf.distribute.get_strategy().num_replicas_in_sync,
        dtype=rows.dtype,
    )
    blocks = _reduce(SUM, tf.tensordot(place, rows, axes=0))
    return tf.reshape(blocks, tf.concat([[-1], tf.shape(rows)[1:]], axis=0))


def own_rows(rows: tf.Tensor) -> tf.Tensor:
    """The rows that are this replica's own of those that `global_batch` gave: (batch, …) → (batch / n, …)."""
    if not _several():
        return rows
    blocks = tf.split(rows, tf.distribute.get_strategy().num_replicas_in_sync)
    return tf.gather(tf.stack(blocks), tf.distribute.get_replica_context().replica_id_in_sync_group)


def feature_std(features: tf.Tensor) -> tf.Tensor:
    """Standard deviation of L2-normalised features over the global batch: a sign of collapse, without gradient.

    Args:
        features: (batch / n, width).

    Returns:
        Root mean square over channels, times √width (1: as spread as a uniform direction; 0: all samples alike).
    """
    normalised = tf.math.l2_normalize(tf.stop_gradient(tf.cast(features, tf.float32)), axis=-1)
    return tf.sqrt(tf.reduce_sum(batch_variance(normalised)))


def mean_of_terms(terms: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Scalars to report, each the mean over the replicas, in one collective."""
    if not _several():
        return terms
    means = _reduce(MEAN, tf.stack([tf.cast(value, tf.float32) for value in terms.values()]))
    return dict(zip(terms, tf.unstack(means), strict=True))


class Mean(tf.keras.metrics.Mean):
    """A mean of values that are the same in all replicas: read without a collective, by any worker on its own."""

    def add_weight(self, *args: Any, **options: Any) -> tf.Variable:
        return super().add_weight(*args, **{**options, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA})


def _several() -> bool:
    """Whether this code runs in one of several replicas (not on behalf of all of them, as when evaluating)."""
    return tf.distribute.get_replica_context() is not None and tf.distribute.get_strategy().num_replicas_in_sync > 1


def _reduce(operation: tf.distribute.ReduceOp, value: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_replica_context().all_reduce(operation, value) if _several() else value
