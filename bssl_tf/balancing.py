"""Dynamic balancing of the two losses of BSSL (https://arxiv.org/abs/2110.08851)."""

import math


def cosine_balance(step: float, total_steps: int, start: float = 0.9, end: float = 0.7) -> float:
    """λ(t), the weight of the feature similarity loss: L = (1 - λ)·L_KL + λ·L_FS.

    Falls (or rises) from `start` at step 0 to `end` at `total_steps` along half a cosine, so that the
    similarity loss leads while the randomly initialised classifier still gives noisy gradients.

    Args:
        step: t, 0 ≤ t ≤ total_steps.
        total_steps: T_max, the last step of the stage.
        start: λ_0 in [0, 1].
        end: λ_T in [0, 1].

    Raises:
        ValueError: an argument is out of its range.

    >>> cosine_balance(0, 100), round(cosine_balance(50, 100), 6), round(cosine_balance(100, 100), 6)
    (0.9, 0.8, 0.7)
    """
    if total_steps <= 0 or not 0 <= step <= total_steps:
        raise ValueError(f"step must lie in 0..total_steps, got step {step} of {total_steps}.")
    if not (0 <= start <= 1 and 0 <= end <= 1):
        raise ValueError(f"start and end must lie in 0..1, got {start} and {end}.")
    return end - (end - start) * (math.cos(math.pi * step / total_steps) + 1) / 2
