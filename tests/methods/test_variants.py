"""The ideas of benchmarks.methods.variants do what they say."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.losses import nt_xent
from bssl_tf.methods.bssl import Bssl
from bssl_tf.methods.registry import create, description
from tests.methods.small import dense_backbone, fit, two_views

VARIANTS = "benchmarks.methods.variants."


def variant(name, **options):
    tf.keras.utils.set_random_seed(0)
    networks = {"teacher": dense_backbone(seed=1), "backbone": dense_backbone()}
    return create(VARIANTS + name, {"pseudo_classes": 16} | options, **networks, total_steps=3)


def plain():
    tf.keras.utils.set_random_seed(0)
    return Bssl(dense_backbone(seed=1), dense_backbone(), pseudo_classes=16)


@pytest.mark.parametrize("name", ["memory", "own_views", "both", "averaged", "local_crops"])
def test_every_variant_is_a_method_that_learns(name):
    assert description(VARIANTS + name).compares_images
    model = variant(name)
    first, last = (fit(model, *[(two_views(),)] * steps)["loss"] for steps in (1, 19))
    assert last < first


def test_a_memory_is_filled_with_targets_and_changes_the_assignments():
    model, views = variant("memory", memory_size=20), two_views()
    terms = model.loss_terms(views, training=False)
    newest = terms["targets"].numpy()
    np.testing.assert_array_equal(newest[:, 8:], model.memory.numpy()[:, :12])
    expected = plain().loss_terms(views, training=False)
    assert terms["kl"].numpy() == pytest.approx(expected["kl"].numpy(), rel=1e-5)
    assert terms["target_loss"].numpy() != pytest.approx(expected["target_loss"].numpy(), rel=1e-4)


def test_own_views_add_half_of_their_contrastive_loss():
    model, views = variant("own_views"), two_views()
    outputs = [model.classifier(model.backbone(view)) for view in views]
    between = tf.reduce_mean(nt_xent(*outputs, 0.1)).numpy()
    expected = plain().loss_terms(views, training=False)["loss"].numpy() + 0.5 * between
    assert model.loss_terms(views, training=False)["loss"].numpy() == pytest.approx(expected, rel=1e-4)


def test_both_is_the_mean_of_both_targets():
    views, losses = two_views(), []
    for target in ("balanced", "contrast"):
        tf.keras.utils.set_random_seed(0)
        model = Bssl(dense_backbone(seed=1), dense_backbone(), pseudo_classes=16, target=target)
        losses.append(model.loss_terms(views, training=False)["loss"].numpy())
    own = plain().loss_terms(views, training=False)["target_loss"].numpy()
    expected = (losses[0] - own + losses[1]) / 2 + own
    assert variant("both").loss_terms(views, training=False)["loss"].numpy() == pytest.approx(expected, rel=1e-4)


def test_a_stage_ends_with_the_average_of_its_weights():
    averaged, usual = variant("averaged", momentum=0.5), plain()
    weights = [usual.backbone.get_weights()]
    for _ in range(3):
        fit(usual, (two_views(),))
        weights.append(usual.backbone.get_weights())
    fit(averaged, *[(two_views(),)] * 3)
    expected = weights[0]
    for later in weights[1:]:
        expected = [0.5 * old + 0.5 * new for old, new in zip(expected, later, strict=True)]
    for mine, its in zip(averaged.backbone.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)


def test_local_crops_move_the_student_but_not_the_target():
    model, views, crops = variant("local_crops"), two_views(), two_views(seed=5)
    with tf.GradientTape(persistent=True) as tape:
        terms = [model.loss_terms((*views, *more), training=False) for more in ((), crops)]
        losses = [term["loss"] for term in terms]
    own, also = (tape.gradient(loss, model.target_classifier.trainable_variables) for loss in losses)
    for one, other in zip(own, also, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert losses[0].numpy() != pytest.approx(losses[1].numpy(), rel=1e-4)
