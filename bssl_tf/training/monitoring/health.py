"""The health monitor: signs, all without labels, that a binary network learns or that it collapsed."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.methods.common.base import Method


@dataclasses.dataclass(frozen=True)
class HealthCheck:
    """One way for training to go wrong.

    Args:
        name: what is wrong.
        needs: metrics that tell; where one is missing, nothing is said either way.
        shows: how it shows in them.
        advice: which setting to change.
    """

    name: str
    needs: tuple[str, ...]
    shows: Callable[[Mapping[str, float]], bool]
    advice: str


def _balanced_target_learns(metrics: Mapping[str, float]) -> bool:
    """Of many pseudo-classes a balanced target is nearly uniform at first, yet differs from image to image."""
    return "target_loss" in metrics and metrics["target_batch_entropy"] - metrics["target_entropy"] > 0.001


HEALTH_CHECKS = (
    HealthCheck(
        "the target is nearly uniform: it tells the student nothing",
        ("target_entropy",),
        lambda metrics: metrics["target_entropy"] >= 0.98 and not _balanced_target_learns(metrics),
        "lower --temperature (--target_temperature with --target=balanced), or use --target=balanced or contrast",
    ),
    HealthCheck(
        "the target gives all images the same pseudo-classes: it has collapsed",
        ("target_entropy", "target_batch_entropy"),
        lambda metrics: (
            metrics["target_batch_entropy"] - metrics["target_entropy"] < 0.01 and metrics["target_entropy"] < 0.98
        ),
        "use --target=balanced or contrast, which do not let it; or freeze it (--target=frozen), or slow it down "
        "(--target_learning_rate_multiplier=0.1)",
    ),
    HealthCheck(
        "the target gives all images nearly the same output: it has collapsed",
        ("target_std",),
        lambda metrics: metrics["target_std"] < 0.05,
        "lower --target_learning_rate_multiplier (0.1, say) or --learning_rate, and check --preview_views",
    ),
    HealthCheck(
        "the balanced target uses few of its pseudo-classes",
        ("target_loss", "target_batch_entropy"),
        lambda metrics: metrics["target_batch_entropy"] < 0.3,
        "lower --pseudo_classes, raise --batch_size, or lower --target_learning_rate_multiplier",
    ),
    HealthCheck(
        "the student gives all images nearly the same feature: it has collapsed",
        ("feature_std",),
        lambda metrics: metrics["feature_std"] < 0.02,
        "lower --learning_rate, check --preview_views; of bssl, give feature similarity more weight (--balance=cosine)",
    ),
    HealthCheck(
        "almost half of the binary weights flip between two reports: training is not settling",
        ("flip_ratio",),
        lambda metrics: metrics["flip_ratio"] >= 0.4,
        "lower --learning_rate or lengthen --warmup_epochs",
    ),
    HealthCheck(
        "hardly any binary weight flips while the learning rate is still high: the binary layers do not learn",
        ("flip_ratio", "progress"),
        lambda metrics: metrics["flip_ratio"] < 1e-5 and metrics["progress"] < 0.5,
        "raise --learning_rate, or try another --quantizer (approx_sign)",
    ),
    HealthCheck(
        "over half of the binary activations never change sign: those channels are dead",
        ("dead_channels",),
        lambda metrics: metrics["dead_channels"] >= 0.5,
        "lower --learning_rate, or lengthen --warmup_epochs",
    ),
)


class HealthMonitor:
    """Runs the checks on metrics as they come; a check warns once, when it fails twice in a row.

    Metrics of steps and those of epochs come in rows of their own. A row counts for a check only if it has what the
    check needs.

    Attributes:
        warnings: the warnings given so far, in plain words.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._seen: dict[str, int] = {}

    def findings(self) -> dict[str, Any]:
        """What was found so far, for a checkpoint."""
        return {"warnings": self.warnings, "seen": self._seen}

    def take_over(self, findings: Mapping[str, Any]) -> None:
        """Go on from `findings`."""
        self.warnings, self._seen = list(findings["warnings"]), dict(findings["seen"])

    def judge(self, step: int, metrics: Mapping[str, float]) -> list[str]:
        """New warnings that these metrics give rise to.

        Raises:
            FloatingPointError: the loss is not a finite number: nothing after this step can be used.
        """
        if not np.isfinite(metrics.get("loss", 0.0)):
            raise FloatingPointError(
                f"the loss is {metrics['loss']} at step {step}: training has diverged. Lower --learning_rate or "
                "lengthen --warmup_epochs, and start in another --workdir."
            )
        new = []
        for check in HEALTH_CHECKS:
            if not metrics.keys() >= set(check.needs):
                continue
            if not check.shows(metrics):
                self._seen[check.name] = 0
                continue
            self._seen[check.name] = self._seen.get(check.name, 0) + 1
            warning = f"{check.name}. Remedy: {check.advice}."
            if self._seen[check.name] == 2 and not any(check.name in warning for warning in self.warnings):
                self.warnings.append(f"step {step}: {warning}")
                new.append(warning)
        return new


class BinaryLayerProbe:
    """Looks into the quantised layers of a backbone: flipped weights and dead channels.

    Args:
        method: its backbone is watched.
        images: (n, size, size, channels) pixels to probe activations with.

    Attributes:
        signs: whether the kernels' weights were at least 0 at the last report.
    """

    def __init__(self, method: Method, images: np.ndarray) -> None:
        layers = [layer for layer in method.backbone.layers if getattr(layer, "input_quantizer", None) is not None]
        self._images = tf.cast(images, tf.float32)
        self._kernels = [layer.kernel for layer in layers if layer.kernel_quantizer is not None and layer.trainable]
        self._activations = (
            tf.keras.Model(method.backbone.inputs, _inputs_of(method.backbone, layers)) if layers else None
        )
        self.signs = self._current_signs()

    def look_again(self) -> None:
        """Count flips from the weights of now."""
        self.signs = self._current_signs()

    def report(self) -> dict[str, float]:
        """``flip_ratio``: share of binary weights whose sign changed since the last report (absent in
        stage 1, whose weights are float); ``dead_channels``: share of binarised channels that have one sign
        on all images and positions of the probe.
        """
        report = {}
        if self._kernels:
            signs = self._current_signs()
            flipped = sum(int(np.sum(new != old)) for new, old in zip(signs, self.signs, strict=True))
            report["flip_ratio"] = flipped / sum(sign.size for sign in signs)
            self.signs = signs
        if self._activations is not None:
            maps = tf.nest.flatten(self._activations(self._images, training=False))
            dead = [self._one_signed(activation.numpy()) for activation in maps]
            report["dead_channels"] = float(np.mean(np.concatenate(dead)))
        return report

    def _current_signs(self) -> list[np.ndarray]:
        return [kernel.numpy() >= 0 for kernel in self._kernels]

    @staticmethod
    def _one_signed(activation: np.ndarray) -> np.ndarray:
        positive = (activation >= 0).reshape(-1, activation.shape[-1]).mean(axis=0)
        return (positive == 0) | (positive == 1)


def _inputs_of(model: tf.keras.Model, layers: list[tf.keras.layers.Layer]) -> list[tf.Tensor]:
    """What the model gives these layers; a layer that it calls several times has several inputs."""
    nodes = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    inbound = [node for layer in layers for node in layer._inbound_nodes if id(node) in nodes]
    return [tensor for node in inbound for tensor in tf.nest.flatten(node.keras_inputs)]
