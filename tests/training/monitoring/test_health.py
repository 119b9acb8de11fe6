"""The health monitor speaks when something dies, names the knob, and keeps quiet otherwise."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.training import Config
from bssl_tf.models import BackboneSpec, LearnableBias, build_backbone
from bssl_tf.training.monitoring.health import BinaryLayerProbe, HealthMonitor

HEALTHY = {
    "loss": 0.4,
    "target_entropy": 0.5,
    "target_batch_entropy": 0.9,
    "feature_std": 0.6,
    "flip_ratio": 0.01,
    "dead_channels": 0.02,
    "progress": 0.3,
}


@pytest.mark.parametrize(
    "signs, words, knob",
    [
        ({"target_entropy": 0.999, "target_batch_entropy": 1.0}, "nearly uniform", "--temperature"),
        ({"target_entropy": 0.001, "target_batch_entropy": 0.002}, "same pseudo-classes", "--target=balanced"),
        (
            {"target_loss": 7.6, "target_entropy": 0.9999, "target_batch_entropy": 1.0},
            "nearly uniform",
            "--temperature",
        ),
        ({"target_std": 0.01}, "nearly the same output", "--target_learning_rate_multiplier"),
        ({"target_loss": 4.0, "target_entropy": 0.1, "target_batch_entropy": 0.2}, "few", "--pseudo_classes"),
        ({"feature_std": 0.001}, "nearly the same feature", "--balance=cosine"),
        ({"flip_ratio": 0.5}, "not settling", "--learning_rate"),
        ({"flip_ratio": 0.0}, "hardly any binary weight flips", "--learning_rate"),
        ({"dead_channels": 0.7}, "never change sign", "--learning_rate"),
    ],
)
def test_each_check_is_told_once_in_plain_words_with_a_knob(signs, words, knob):
    monitor = HealthMonitor()
    assert monitor.judge(10, HEALTHY | signs) == []  # once may be chance
    (warning,) = monitor.judge(20, HEALTHY | signs)
    assert words in warning and knob in warning
    assert monitor.judge(30, HEALTHY | signs) == []
    assert len(monitor.warnings) == 1 and monitor.warnings[0].startswith("step 20")
    settings = vars(Config().bssl) | vars(Config().optimizer) | vars(Config().student)
    assert any(name.startswith(knob.lstrip("-").split("=")[0]) for name in settings)


def test_rows_of_steps_and_of_epochs_take_turns():
    of_epochs = ("flip_ratio", "dead_channels", "progress")
    monitor, sick = HealthMonitor(), HEALTHY | {"dead_channels": 0.9, "feature_std": 0.001}
    heard = []
    for step in range(1, 4):
        heard += monitor.judge(step, {name: value for name, value in sick.items() if name not in of_epochs})
        heard += monitor.judge(step, {name: sick[name] for name in of_epochs})
    assert len(heard) == 2 and "nearly the same feature" in heard[0] and "never change sign" in heard[1]


def test_a_healthy_run_hears_nothing():
    early = HEALTHY | {"target_loss": 7.6, "target_entropy": 0.9933, "target_batch_entropy": 0.9989}  # K = 2000
    monitor = HealthMonitor()
    assert [monitor.judge(step, early) for step in range(3)] == [[]] * 3
    monitor = HealthMonitor()
    assert [monitor.judge(step, HEALTHY) for step in range(5)] == [[]] * 5


def test_a_loss_that_is_not_finite_ends_the_run():
    with pytest.raises(FloatingPointError, match="loss is nan at step 7.*--learning_rate"):
        HealthMonitor().judge(7, HEALTHY | {"loss": float("nan")})


class Student:
    def __init__(self, mode):
        spec = BackboneSpec("reactnet_small", 8, 1, mean=(100.0,), std=(60.0,), width=32, stages=1, mode=mode)
        self.backbone = build_backbone(spec)

    def quantised_kernels(self):
        return [layer.kernel for layer in self.backbone.layers if getattr(layer, "input_quantizer", None)]


def images():
    return np.random.default_rng(0).integers(0, 255, (16, 8, 8, 1)).astype(np.uint8)


def test_probe_counts_exactly_the_weights_that_flipped():
    student = Student("binary")
    probe = BinaryLayerProbe(student, images())
    assert probe.report()["flip_ratio"] == 0.0
    kernels = student.quantised_kernels()
    kernels[0].assign(-kernels[0])
    share = int(tf.size(kernels[0])) / sum(int(tf.size(kernel)) for kernel in kernels)
    assert probe.report()["flip_ratio"] == pytest.approx(share)
    assert probe.report()["flip_ratio"] == 0.0


def test_probe_finds_channels_that_died():
    student = Student("binary")
    probe = BinaryLayerProbe(student, images())
    before = probe.report()["dead_channels"]
    biases = [layer for layer in student.backbone.layers if isinstance(layer, LearnableBias)]
    biases[0].bias.assign(tf.fill(biases[0].bias.shape, 1e6))  # the first sign sees nothing but +1
    dead = probe.report()["dead_channels"]
    assert before < 0.5 and dead >= before + 0.3


def test_stage_1_has_no_binary_weights_to_flip():
    assert "flip_ratio" not in BinaryLayerProbe(Student("binary_activations"), images()).report()
