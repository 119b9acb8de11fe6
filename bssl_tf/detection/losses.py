"""Losses of the detector, one value per position; all compute in float32."""

import tensorflow as tf

from bssl_tf.detection.boxes import generalised_iou

ALPHA, GAMMA = 0.25, 2.0
"""Of the focal loss, as in table 1 of its paper."""


def focal_loss(labels: tf.Tensor, logits: tf.Tensor, alpha: float = ALPHA, gamma: float = GAMMA) -> tf.Tensor:
    """Focal loss of independent yes-or-no questions (https://arxiv.org/abs/1708.02002, equation 5).

    ``-α_t (1 - p_t)^γ log(p_t)``: what is answered well already counts little, so that the many positions without
    object do not drown the few with one.

    Args:
        labels: (…) of 0 and 1.
        logits: (…), the same shape.
        alpha: weight of label 1; label 0 has 1 - alpha.
        gamma: ≥ 0; 0 leaves a weighted cross entropy.

    Returns:
        (…) float32 in nats.

    Raises:
        ValueError: the shapes differ.
    """
    if not labels.shape.is_compatible_with(logits.shape):
        raise ValueError(f"labels and logits must have one shape; got {labels.shape} and {logits.shape}.")
    labels, logits = tf.cast(labels, tf.float32), tf.cast(logits, tf.float32)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    wrong = tf.abs(labels - tf.sigmoid(logits))  # 1 - p_t
    return (alpha * labels + (1 - alpha) * (1 - labels)) * tf.pow(wrong, gamma) * entropy


def giou_loss(target: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """One minus the generalised IoU (https://arxiv.org/abs/1902.09630, algorithm 1).

    Args:
        target: (…, 4) boxes (y0, x0, y1, x1).
        predicted: (…, 4), the same shape and units.

    Returns:
        (…) float32 in [0, 2].

    Raises:
        ValueError: the shapes differ, or are no boxes.
    """
    if target.shape[-1] != 4 or not target.shape.is_compatible_with(predicted.shape):
        raise ValueError(f"target and predicted must both be (…, 4); got {target.shape} and {predicted.shape}.")
    return 1.0 - generalised_iou(tf.cast(target, tf.float32), tf.cast(predicted, tf.float32))
