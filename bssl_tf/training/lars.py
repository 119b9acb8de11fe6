"""LARS, SGD with a rate for each layer, for large batches (https://arxiv.org/abs/1708.03888)."""

from typing import Any

import tensorflow as tf


def per_channel(variable: tf.Variable) -> bool:
    """Whether a variable has just one number for each channel: biases, slopes, batch norms."""
    return all(length == 1 for length in variable.shape[:-1])


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class Lars(tf.keras.optimizers.Optimizer):
    """Layer-wise adaptive rate scaling, in the form that self-supervised methods use.

    A kernel w with gradient g is moved by momentum SGD along ``r·(g + β·w)``, where β is the weight decay and
    ``r = η·|w| / |g + β·w|`` (1 where either norm is 0). What has one number a channel follows plain momentum
    SGD without weight decay, as in SimCLR (https://arxiv.org/abs/2002.05709, appendix B.6) and BYOL. The rate
    multiplies after momentum, so that a falling rate also slows what was gathered before.

    Args:
        learning_rate: a number, or a schedule. Usual are 0.2 to 0.4 times batch size / 256.
        momentum: of the velocity.
        weight_decay: β; usual are 1e-6 (SimCLR) to 1.5e-6 (BYOL).
        trust: η.
    """

    def __init__(
        self,
        learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule = 0.3,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 1e-3,
        name: str = "lars",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum, self.trust, self.decay = momentum, trust, weight_decay

    def build(self, var_list: list[tf.Variable]) -> None:
        super().build(var_list)
        if not getattr(self, "_velocities", None):
            self._velocities = [self.add_variable_from_reference(variable, "velocity") for variable in var_list]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        velocity = self._velocities[self._index_dict[self._var_key(variable)]]
        if not per_channel(variable):
            gradient = gradient + self.decay * variable
            weights, gradients = tf.norm(variable), tf.norm(gradient)
            gradient *= tf.where((weights > 0) & (gradients > 0), self.trust * weights / gradients, 1.0)
        velocity.assign(self.momentum * velocity + gradient)
        variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * velocity)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "momentum": self.momentum,
            "weight_decay": self.decay,
            "trust": self.trust,
        }
