"""S2-BNN: distillation from a teacher that stands still, its head included."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.losses import kl_divergence, nt_xent
from bssl_tf.methods.s2bnn import S2bnn
from bssl_tf.models import mlp_head
from bssl_tf.models.heads import HeadLayer, build_head
from tests.methods.small import WIDTH, dense_backbone, fit, two_views, values_of


def distilling(**options):
    return S2bnn(dense_backbone(seed=1), mlp_head(WIDTH, 5, 3, name="of_teacher"), dense_backbone(), **options)


def as_they_are(outputs):
    return outputs


def of_unit_length(outputs):
    return outputs / np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-9)  # one of them is zero


@pytest.mark.parametrize("scaled, unit_length", [(of_unit_length, True), (as_they_are, False)])
@pytest.mark.parametrize("views, pairs", [("swapped", [(0, 1), (1, 0)]), ("same", [(0, 0), (1, 1)])])
def test_loss_is_the_divergence_from_the_teachers_outputs(views, pairs, scaled, unit_length):
    teacher, head = dense_backbone(seed=1), mlp_head(WIDTH, 5, 3, name="of_teacher")
    options = dict(temperature=0.5, views=views) | ({} if unit_length else {"unit_length": False})
    model, images = S2bnn(teacher, head, dense_backbone(), **options), two_views()
    targets = [scaled(head(teacher(view))) for view in images]
    outputs = [scaled(model.head(model.backbone(view))) for view in images]
    expected = np.mean([kl_divergence(targets[t], outputs[s], 0.5) for s, t in pairs])
    np.testing.assert_allclose(model.loss_terms(images, training=False)["loss"], expected, rtol=1e-5)
    cached = tf.stack([teacher(view) for view in images], axis=1)
    np.testing.assert_allclose(model.loss_terms(images, cached, training=False)["loss"], expected, rtol=1e-5)


def test_the_contrastive_term_compares_the_students_views():
    model, images = distilling(contrastive=0.5, contrastive_temperature=0.3), two_views()
    terms = model.loss_terms(images, training=False)
    outputs = [model.head(model.backbone(view)) for view in images]
    np.testing.assert_allclose(terms["contrastive"], tf.reduce_mean(nt_xent(*outputs, 0.3)), rtol=1e-5)
    np.testing.assert_allclose(terms["loss"], terms["kl"] + 0.5 * terms["contrastive"], rtol=1e-5)


def test_the_teachers_head_does_not_learn_and_the_student_does():
    model = distilling()
    head, student = values_of(model.teacher_head), values_of(model.backbone)
    fit(model, (two_views(),))
    for before, after in zip(head, values_of(model.teacher_head), strict=True):
        np.testing.assert_array_equal(before, after)
    assert any(np.any(before != after) for before, after in zip(student, values_of(model.backbone), strict=True))


@pytest.mark.parametrize("views", ["swapped", "same"])
@pytest.mark.parametrize("cached", [False, True])
def test_micro_batches_learn_what_the_whole_batch_teaches(views, cached):
    """Without batch norm, which sees the parts: a head and a backbone of dense layers alone."""

    def trained(micro_batches):
        tf.keras.utils.set_random_seed(0)
        pixels = tf.keras.Input((4, 4, 1))
        backbone = tf.keras.Model(pixels, tf.keras.layers.Dense(WIDTH)(tf.keras.layers.Flatten()(pixels)))
        teacher = dense_backbone(seed=1)
        model = S2bnn(teacher, mlp_head(WIDTH, 5, 3, name="of_teacher"), backbone, views=views)
        model.head = build_head(WIDTH, (HeadLayer(5, "relu"), HeadLayer(3)))
        model.compile(tf.keras.optimizers.SGD(0.1), micro_batches=micro_batches)
        images = two_views(12)
        features = (tf.stack([teacher(view) for view in images], axis=1),) if cached else ()
        terms = fit(model, *[(images, *features)] * 3)
        return terms, values_of(model.backbone, model.head)

    (whole, expected), (in_parts, ours) = trained(1), trained(3)
    assert in_parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    for each, of_parts in zip(expected, ours, strict=True):
        np.testing.assert_allclose(of_parts, each, rtol=1e-4, atol=1e-6)


def test_a_batch_whose_images_are_compared_cannot_be_split():
    with pytest.raises(ValueError, match="cannot be split into micro batches"):
        distilling(contrastive=0.1).compile("sgd", micro_batches=2)


def test_unknown_views_are_refused():
    with pytest.raises(ValueError, match="'swapped' or 'same', got 'other'"):
        distilling(views="other")
