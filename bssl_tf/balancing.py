"""Dynamic balancing of the two losses of BSSL (https://arxiv.org/abs/2110.08851)."""

import math
from dataclasses import dataclass

import tensorflow as tf


def cosine_balance(step: int | tf.Tensor, total_steps: int, start: float = 0.9, end: float = 0.7) -> tf.Tensor:
    """λ(t), the weight of the feature similarity loss: L = (1 - λ)·L_KL + λ·L_FS.

    Falls (or rises) from `start` at step 0 to `end` at `total_steps` along half a cosine, and stays there, so that
    the similarity loss leads while the randomly initialised classifier still gives noisy gradients.

    Args:
        step: t, a number or a scalar tensor, so that no step has to ask the host for λ.
        total_steps: T_max, the last step of the stage.
        start: λ_0.
        end: λ_T.

    Returns:
        float32 scalar.
    """
    progress = tf.minimum(tf.cast(step, tf.float32) / total_steps, 1.0)
    return end - (end - start) * (tf.cos(math.pi * progress) + 1.0) / 2.0


@dataclass(frozen=True)
class CosineBalance:
    """`cosine_balance` as a function of the step alone.

    Args:
        total_steps: T_max, at least 1.
        start: λ_0 in [0, 1].
        end: λ_T in [0, 1].

    Raises:
        ValueError: an argument is out of its range.
    """

    total_steps: int
    start: float = 0.9
    end: float = 0.7

    def __post_init__(self) -> None:
        if self.total_steps <= 0:
            raise ValueError(f"total_steps must be at least 1, got {self.total_steps}.")
        if not (0 <= self.start <= 1 and 0 <= self.end <= 1):
            raise ValueError(f"start and end must lie in 0..1, got {self.start} and {self.end}.")

    def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
        return cosine_balance(step, self.total_steps, self.start, self.end)
