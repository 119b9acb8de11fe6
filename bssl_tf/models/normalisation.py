"""Normalisation of pixels, the first layer of every backbone, and of batches, everywhere else."""

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

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise UserError(
                f"mean and std need one number a channel, std above 0; received mean={self.mean}, std={self.std}."
            )

    def build(self, input_shape: tf.TensorShape) -> None:
        if input_shape[-1] != len(self.mean):
            raise UserError(f"mean has {len(self.mean)} channels, but the images have {input_shape[-1]}.")
        super().build(input_shape)

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        return (pixels - tf.constant(self.mean)) / tf.constant(self.std)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "std": self.std}


def batch_norm(**options: Any) -> tf.keras.layers.BatchNormalization:
    """Batch normalisation over the global batch: the one place where this package makes that layer.

    Within the scope of a strategy with several replicas it is `SynchronisedBatchNormalization`, else Keras's own,
    which is one fused kernel and much faster. Both have the same weights in the same order.

    Args:
        **options: as `tf.keras.layers.BatchNormalization`; by default PyTorch's momentum and epsilon.
    """
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    layer = SynchronisedBatchNormalization if several else tf.keras.layers.BatchNormalization
    return layer(**{"momentum": 0.9, "epsilon": 1e-5, **options})


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class SynchronisedBatchNormalization(tf.keras.layers.BatchNormalization):
    """Batch normalisation whose moments are those of the batches of all replicas together.

    It gives what Keras's layer gives for the whole batch on one device, to float rounding, the moving averages
    included. (Keras's own ``synchronized=True`` takes the variance as E[x²] - E[x]², which loses digits where the
    mean is large, and leaves out the n / (n - 1) that its fused kernel has in the moving variance.) Every replica has
    the same averages, so that they are read without a collective: one worker can save or evaluate on its own.

    All replicas must have equally many images. The last axis is that of the channels.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "fused": False})

    def add_weight(self, *args: Any, **options: Any) -> tf.Variable:
        if options.get("synchronization") is tf.VariableSynchronization.ON_READ:
            options["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return super().add_weight(*args, **options)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        replica = tf.distribute.get_replica_context()
        if not training or not self.trainable or replica is None:
            return super().call(inputs, training=False)
        axes = list(range(inputs.shape.rank - 1))
        x = tf.cast(inputs, tf.float32)
        mean = replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(x, axes))
        variance = replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(tf.square(x - mean), axes))
        self._follow(mean, variance, tf.size(x) // tf.shape(x)[-1] * replica.num_replicas_in_sync, len(axes))
        outputs = tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(outputs, inputs.dtype)

    def _follow(self, mean: tf.Tensor, variance: tf.Tensor, count: tf.Tensor, spatial_axes: int) -> None:
        """Move the averages; the variance of images is the unbiased one, as in the fused kernel."""
        if spatial_axes > 1:
            count = tf.cast(count, tf.float32)
            variance *= count / tf.maximum(count - 1.0, 1.0)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign_sub((average - tf.stop_gradient(value)) * (1.0 - self.momentum))
