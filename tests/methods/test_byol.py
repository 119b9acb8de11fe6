"""BYOL's bookkeeping and loss against cases computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.methods.byol import Byol
from tests.methods.small import dense_backbone, fit, two_views, values_of


def naive_loss(predicted, target):
    unit = [rows / np.linalg.norm(rows, axis=-1, keepdims=True) for rows in (predicted, target)]
    return np.mean(np.sum(np.square(unit[0] - unit[1]), axis=-1))


def test_loss_is_the_squared_distance_of_unit_vectors_in_both_directions():
    tf.keras.utils.set_random_seed(1)
    model = Byol(dense_backbone(), total_steps=10, hidden_size=5, projection_size=3)
    model.target_backbone.set_weights(dense_backbone(seed=3).get_weights())
    views = two_views()
    predicted = [model.prediction(model.head(model.backbone(view))).numpy() for view in views]
    target = [model.target_head(model.target_backbone(view)).numpy() for view in views]
    expected = naive_loss(predicted[0], target[1]) + naive_loss(predicted[1], target[0])
    np.testing.assert_allclose(model.loss_terms(views, training=False)["loss"], expected, rtol=1e-5)


def test_the_targets_weights_follow_with_a_momentum_that_rises_to_one():
    model = Byol(dense_backbone(), total_steps=2, momentum=0.5, hidden_size=5, projection_size=3)
    momenta = [0.75, 1.0]  # after one and two of two steps: 1 - 0.5·(cos(π·t/2) + 1)/2
    for seed, momentum in enumerate(momenta):
        before = [weight.numpy() for weight in model.target_backbone.trainable_weights]
        fit(model, (two_views(seed=seed),), learning_rate=0.5)
        for old, online, now in zip(
            before, model.backbone.trainable_weights, model.target_backbone.trainable_weights, strict=True
        ):
            np.testing.assert_allclose(now, momentum * old + (1 - momentum) * online, rtol=1e-5, atol=1e-6)
    assert float(model.momentum) == pytest.approx(1.0)


def test_only_the_online_networks_are_trained():
    model = Byol(dense_backbone(), total_steps=2)
    model.compile("sgd")
    trained = {id(variable) for _, group in model.optimizer_groups() for variable in group}
    online = (model.backbone, model.head, model.prediction)
    assert trained == {id(variable) for network in online for variable in network.trainable_variables}
    assert len(values_of(model.target_backbone)) == len(values_of(model.backbone))
