"""SwAV against a naive version, with and without local crops."""

import numpy as np
import tensorflow as tf

from bssl_tf.losses import sinkhorn
from bssl_tf.methods.swav import Swav
from bssl_tf.models import BackboneSpec, build_backbone
from tests.methods.small import dense_backbone, fit, two_views


def softmax(rows):
    powers = np.exp(rows - rows.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def naive_loss(scores, temperature):
    """Every view predicts the assignments of each of the first two, but for its own."""
    losses = []
    for s in (0, 1):
        assigned = sinkhorn(scores[s], 0.05, 3).numpy()
        others = [scores[t] for t in range(len(scores)) if t != s]
        losses += [-np.mean(np.sum(assigned * np.log(softmax(other / temperature)), axis=-1)) for other in others]
    return np.mean(losses)


def scores_of(model, backbone, view):
    projected = model.head(backbone(view)).numpy()
    return projected / np.linalg.norm(projected, axis=-1, keepdims=True) @ model.prototypes.numpy().T


def test_each_view_predicts_the_other_views_assignments():
    tf.keras.utils.set_random_seed(0)
    model = Swav(dense_backbone(), total_steps=10, prototypes=5, projection_size=3)
    views = two_views()
    expected = naive_loss([scores_of(model, model.backbone, view) for view in views], 0.1)
    np.testing.assert_allclose(model.loss_terms(views, training=False)["loss"], expected, rtol=1e-4)


def test_local_crops_predict_but_are_not_predicted():
    spec = dict(image_size=16, channels=1, mean=(100.0,), std=(60.0,), width=8, stages=1)
    model = Swav(build_backbone(BackboneSpec("resnet_small", **spec, mode="float")), total_steps=10, prototypes=5)
    large, small = two_views(size=16), two_views(size=8, seed=2)
    by_size = build_backbone(BackboneSpec("resnet_small", **spec | {"image_size": 8}, mode="float"))
    by_size.set_weights(model.backbone.get_weights())
    scores = [scores_of(model, model.backbone, view) for view in large]
    scores += [scores_of(model, by_size, view) for view in small]
    loss = model.loss_terms((*large, *small), training=False)["loss"]
    np.testing.assert_allclose(loss, naive_loss(scores, 0.1), rtol=1e-4)


def test_prototypes_stay_directions_and_are_frozen_at_first():
    model = Swav(dense_backbone(), total_steps=4, prototypes=5, projection_size=3, frozen_share=0.5)
    first = model.prototypes.numpy()
    np.testing.assert_allclose(np.linalg.norm(first, axis=-1), 1, rtol=1e-5)
    fit(model, (two_views(),), (two_views(seed=1),), learning_rate=0.5)
    np.testing.assert_allclose(model.prototypes, first, atol=1e-6)
    fit(model, (two_views(seed=2),))
    assert np.abs(model.prototypes - first).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(model.prototypes, axis=-1), 1, rtol=1e-5)


def test_assignments_use_all_prototypes_equally():
    scores = tf.random.stateless_normal((64, 4), (0, 1)) + [3.0, 0.0, 0.0, 0.0]  # all would choose the first
    assigned = sinkhorn(scores, 0.5, 50)
    np.testing.assert_allclose(tf.reduce_sum(assigned, 0), 16, rtol=0.01)
