import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.learning import OPTIMIZERS
from bssl_tf.training.lars import Lars
from bssl_tf.training.optimizers import build_optimizer, exempt_from_weight_decay, warmup_cosine


def test_rate_rises_to_its_peak_and_falls_to_zero():
    rate = warmup_cosine(0.5, total_steps=100, warmup_steps=20)
    rates = [rate(step).numpy() for step in range(101)]
    assert rates[0] == 0 and rates[10] == pytest.approx(0.25) and rates[20] == pytest.approx(0.5)
    assert rates[60] == pytest.approx(0.25) and rates[100] == pytest.approx(0, abs=1e-7)
    assert warmup_cosine(0.5, 100, 0)(0).numpy() == pytest.approx(0.5)


def lars_in_numpy(weights, gradients, rate, momentum, decay, trust):
    velocity = np.zeros_like(weights)
    for given in gradients:
        gradient = given
        if weights.ndim > 1:
            gradient = gradient + decay * weights
            gradient = gradient * trust * np.linalg.norm(weights) / np.linalg.norm(gradient)
        velocity = momentum * velocity + gradient
        weights = weights - rate * velocity
    return weights


@pytest.mark.parametrize("shape", [(3, 3, 2, 4), (4,)])
def test_lars_is_the_formula(shape):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=shape), random.normal(size=(5, *shape))
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = Lars(0.2, momentum=0.8, weight_decay=0.01, trust=0.02)
    for given in gradients:
        gradient = given
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
    np.testing.assert_allclose(variable, lars_in_numpy(start, gradients, 0.2, 0.8, 0.01, 0.02), rtol=1e-5)


def test_lars_survives_weights_that_are_all_zero():
    variable = tf.Variable(tf.zeros((2, 3)))
    Lars(0.1).apply_gradients([(tf.ones((2, 3)), variable)])
    np.testing.assert_allclose(variable, -0.1 * np.ones((2, 3)), rtol=1e-6)


def test_lars_keeps_its_settings():
    restored = Lars.from_config(Lars(0.2, momentum=0.8, weight_decay=0.01, trust=0.02).get_config())
    assert (restored.momentum, restored.decay, restored.trust) == (0.8, 0.01, 0.02)


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"adam"}))
def test_weight_decay_shrinks_kernels_only(name):
    kernel, bias, slope = variables = [tf.Variable(tf.ones(shape)) for shape in ((3, 3, 2, 4), (4,), (1, 1, 4))]
    optimizer = build_optimizer(name, 0.1, weight_decay=0.1)
    exempt_from_weight_decay(optimizer, variables)
    optimizer.build(variables)
    optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])
    assert np.all(kernel.numpy() < 1)
    np.testing.assert_array_equal(bias, np.ones(4))
    np.testing.assert_array_equal(slope, np.ones((1, 1, 4)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(name):
    variable = tf.Variable(tf.ones((4, 4)))
    optimizer = build_optimizer(name, 0.1)
    for _ in range(20):
        optimizer.apply_gradients([(2 * variable, variable)])
    assert np.abs(variable).max() < 1.0
