"""Bookkeeping of MoCo v2 against cases computed by hand: keys, queue, momentum."""

import numpy as np
import tensorflow as tf

from bssl_tf.losses import info_nce
from bssl_tf.methods.moco_v2 import MocoV2
from tests.methods.small import dense_backbone, fit, two_views, values_of


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def keys_of(model, view):
    return unit(model.key_head(model.key_backbone(view)).numpy())


def test_newest_keys_come_first_and_push_the_oldest_out():
    model = MocoV2(dense_backbone(), queue_size=20, projection_size=3)
    before, (first, second) = model.queue.numpy(), two_views()
    np.testing.assert_allclose(np.linalg.norm(before, axis=-1), 1, rtol=1e-5)
    expected = np.concatenate([keys_of(model, second), keys_of(model, first), before])[:20]
    fit(model, ((first, second),))
    np.testing.assert_allclose(model.queue, expected, rtol=1e-5, atol=1e-6)
    again = two_views(seed=5)
    expected = np.concatenate([keys_of(model, again[1]), keys_of(model, again[0]), expected])[:20]
    fit(model, (again,))
    np.testing.assert_allclose(model.queue, expected, rtol=1e-5, atol=1e-6)


def test_the_key_encoder_follows_with_momentum_and_its_statistics_too():
    model = MocoV2(dense_backbone(), queue_size=16, momentum=0.75)
    keys_before = values_of(model.key_backbone, model.key_head)
    fit(model, (two_views(),), learning_rate=0.5)
    queries_after = values_of(model.backbone, model.head)
    keys_after = values_of(model.key_backbone, model.key_head)
    moved = 0
    for before, query, after in zip(keys_before, queries_after, keys_after, strict=True):
        np.testing.assert_allclose(after, 0.75 * before + 0.25 * query, rtol=1e-5, atol=1e-6)
        moved += np.any(after != before)
    assert moved > len(keys_after) / 2


def test_loss_is_that_of_each_view_against_the_other_views_key():
    model = MocoV2(dense_backbone(), queue_size=16, projection_size=3, temperature=0.3)
    views = two_views()
    queries = [model.head(model.backbone(view)) for view in views]
    losses = [info_nce(queries[i], keys_of(model, views[1 - i]), model.queue, 0.3)[0] for i in (0, 1)]
    loss = model.loss_terms(views, training=False)["loss"]
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-4)


def test_as_in_the_reference_only_first_views_may_be_queries():
    tf.keras.utils.set_random_seed(0)  # with some weights all units of the head are dead for an image
    model = MocoV2(dense_backbone(), queue_size=16, projection_size=3, symmetric=False)
    first, second = two_views()
    before, new = model.queue.numpy(), keys_of(model, second)
    query = model.head(model.backbone(first))
    loss = model.loss_terms((first, second), training=False)["loss"]
    np.testing.assert_allclose(loss, np.mean(info_nce(query, new, model.queue, 0.2)[0]), rtol=1e-5)
    fit(model, ((first, second),))
    np.testing.assert_allclose(model.queue, np.concatenate([new, before])[:16], rtol=1e-5, atol=1e-6)


def test_keys_get_no_gradient_and_the_queue_is_no_weight_to_train():
    model = MocoV2(dense_backbone(), queue_size=16)
    model.compile("sgd")
    trained = {id(variable) for _, group in model.optimizer_groups() for variable in group}
    for variable in [*model.key_backbone.weights, *model.key_head.weights, model.queue]:
        assert id(variable) not in trained
    with tf.GradientTape() as tape:
        loss = model.loss_terms(two_views(), training=True)["loss"]
    gradients = tape.gradient(loss, model.key_backbone.trainable_variables)
    assert gradients == [None] * len(gradients)
