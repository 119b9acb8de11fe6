"""Networks that follow another one as a moving average of its weights: momentum encoders and targets.

target = momentum_copy(online)                              # in the constructor
follow(target, online, momentum=0.99)                       # after every step of the optimizer
"""

import tensorflow as tf


def momentum_copy(network: tf.keras.Model) -> tf.keras.Model:
    """A network of its own, equal to `network` in architecture and weights."""
    copy = tf.keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def follow(
    target: tf.keras.Model, online: tf.keras.Model, momentum: float | tf.Tensor, *, statistics: bool = False
) -> None:
    """Move the target's weights towards the online network's: ``target = m·target + (1 - m)·online``.

    To be called by every replica of a training step.

    Args:
        target: as from `momentum_copy`.
        online: the network that the optimizer trains.
        momentum: m in [0, 1], a number or a scalar tensor.
        statistics: also the moving statistics of batch norms, for a target that runs in inference mode.
    """
    select = (lambda model: model.weights) if statistics else (lambda model: model.trainable_weights)
    pairs = list(zip(select(target), select(online), strict=True))
    momentum = tf.cast(momentum, tf.float32)
    assign([mine for mine, _ in pairs], [momentum * mine + (1.0 - momentum) * its for mine, its in pairs])


def assign(variables: list[tf.Variable], values: list[tf.Tensor]) -> None:
    """Give variables new values, the same on all replicas, from within a replica's training step."""

    @tf.autograph.experimental.do_not_convert
    def put(variable: tf.Variable, value: tf.Tensor) -> None:
        variable.assign(value)

    @tf.autograph.experimental.do_not_convert
    def on_all_replicas(strategy: tf.distribute.Strategy, values: list[tf.Tensor]) -> None:
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(variable, put, args=(value,))

    tf.distribute.get_replica_context().merge_call(on_all_replicas, args=(values,))
