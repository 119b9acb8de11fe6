"""Optimizers by name, with linear warm-up and a cosine to 0, set per step."""

import tensorflow as tf

from bssl_tf.training.lars import Lars, per_channel


def warmup_cosine(
    peak: float, total_steps: int, warmup_steps: int
) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    """From 0 to `peak` in `warmup_steps` (at once if that is 0), then along half a cosine to 0 at `total_steps`."""
    return tf.keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else peak,
        decay_steps=max(total_steps - warmup_steps, 1),
        warmup_target=peak if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


def build_optimizer(
    name: str,
    learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule,
    *,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
) -> tf.keras.optimizers.Optimizer:
    """An optimizer of `config.OPTIMIZERS`; under the policy mixed_float16 it scales the loss.

    Args:
        name: adam, adamw, sgd or lars.
        learning_rate: a number, or a schedule.
        weight_decay: of adamw, sgd (both decoupled from the gradient) and lars. See `exempt_from_weight_decay`.
        momentum: of sgd and lars.
    """
    decay = weight_decay or None
    optimizer = {
        "adam": lambda: tf.keras.optimizers.Adam(learning_rate),
        "adamw": lambda: tf.keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay),
        "sgd": lambda: tf.keras.optimizers.SGD(learning_rate, momentum=momentum, weight_decay=decay),
        "lars": lambda: Lars(learning_rate, momentum=momentum, weight_decay=weight_decay),
    }[name]()
    if tf.keras.mixed_precision.global_policy().name == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


def exempt_from_weight_decay(optimizer: tf.keras.optimizers.Optimizer, variables: list[tf.Variable]) -> None:
    """Keep weight decay to kernels: biases, slopes and batch norms have one number a channel and are left alone."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer.exclude_from_weight_decay([variable for variable in variables if per_channel(variable)])
