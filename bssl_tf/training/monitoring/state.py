"""What monitoring has seen so far, as part of a checkpoint: a run that goes on reports what it would have reported."""

import json

import numpy as np
import tensorflow as tf

from bssl_tf.methods.common.base import Method
from bssl_tf.training.monitoring.health import BinaryLayerProbe, HealthMonitor


class MonitoringState:
    """The running means of the losses, the signs of the last report, and what the health checks have found.

    For training on one device: means on several devices could only be read by all of them together.

    Args:
        method: its metrics are remembered.
        probe: its signs are remembered.
        health: its findings are remembered.

    Attributes:
        kept: the part of a checkpoint.
    """

    def __init__(self, method: Method, probe: BinaryLayerProbe, health: HealthMonitor):
        self._probe, self._health = probe, health
        self._metrics = [variable for metric in method.metrics for variable in metric.variables]
        self.means = [tf.Variable(variable, trainable=False) for variable in self._metrics]
        self.signs = tf.Variable(_packed(probe.signs), trainable=False)
        self.findings = tf.Variable("", trainable=False, dtype=tf.string)
        self.kept = tf.train.Checkpoint(means=self.means, signs=self.signs, findings=self.findings)

    def remember(self) -> None:
        """Take the state over, before a checkpoint is saved."""
        for kept, variable in zip(self.means, self._metrics, strict=True):
            kept.assign(variable)
        self.signs.assign(_packed(self._probe.signs))
        self.findings.assign(json.dumps(self._health.findings()))

    def recall(self) -> None:
        """Put signs and findings back, after a checkpoint was restored."""
        sizes = [sign.size for sign in self._probe.signs]
        flat = np.unpackbits(self.signs.numpy(), count=sum(sizes)).astype(bool)
        parts = np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []
        self._probe.signs = [part.reshape(sign.shape) for part, sign in zip(parts, self._probe.signs, strict=True)]
        if text := self.findings.numpy():
            self._health.take_over(json.loads(text))

    def recall_means(self) -> None:
        """Put the means back, after Keras has set them to zero at the beginning of an epoch."""
        for kept, variable in zip(self.means, self._metrics, strict=True):
            variable.assign(kept)


def _packed(signs: list[np.ndarray]) -> np.ndarray:
    """A bit a sign."""
    return np.packbits(np.concatenate([sign.ravel() for sign in signs])) if signs else np.zeros(0, np.uint8)
