"""The joint loss: who gets gradients, who stays still, and what is compared with what."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.balancing import CosineBalance
from bssl_tf.losses import feature_similarity, kl_divergence
from bssl_tf.methods.bssl import Bssl, entropies
from bssl_tf.models import BackboneSpec, build_backbone


def backbone(name, mode, width, stages=1):
    spec = BackboneSpec(
        name, image_size=8, channels=1, mean=(100.0,), std=(60.0,), width=width, depth=1, stages=stages, mode=mode
    )
    return build_backbone(spec)


@pytest.fixture
def teacher():
    return backbone("resnet_small", "float", 16)


def bssl(teacher, mode="binary", **options):
    papers = dict(target="joint", temperature=0.2, similarity_map="auto", standardise=False, balance=0.9)
    return Bssl(teacher, backbone("reactnet_small", mode, 32), pseudo_classes=12, **papers | options)


def views(seed=0, batch=8):
    random = np.random.default_rng(seed)
    return tuple(tf.constant(random.uniform(0, 255, (batch, 8, 8, 1)), tf.float32) for _ in range(2))


def dataset(steps=3):
    return tf.data.Dataset.from_tensors((views(),)).repeat(steps)


@pytest.mark.parametrize("mode", ["binary_activations", "binary"])
def test_fit_trains_student_and_target_but_never_the_teacher(teacher, mode):
    before_teacher = [weight.copy() for weight in teacher.get_weights()]
    model = bssl(teacher, mode)
    model.compile(tf.keras.optimizers.Adam(1e-2))
    before = {name: network.get_weights() for name, network in model.networks.items()}
    history = model.fit(dataset(), verbose=0)
    assert set(history.history) >= {"loss", "kl", "similarity", "balance", "target_entropy", "feature_std"}
    for name, network in model.networks.items():
        changed = [not np.array_equal(a, b) for a, b in zip(before[name], network.get_weights(), strict=True)]
        assert all(changed), f"{name}: weights {[i for i, c in enumerate(changed) if not c]} did not move"
    for old, new in zip(before_teacher, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # batch norm statistics included


def test_the_loss_is_the_papers_formula_on_swapped_views(teacher):
    model = bssl(teacher, balance=0.8)
    first, second = views()
    terms = model.loss_terms((first, second), training=False)

    def parts(target_view, student_view):
        u, v = teacher(target_view, training=False), model.backbone(student_view, training=False)
        kl = kl_divergence(model.target_classifier(u), model.classifier(v), 0.2)
        return kl.numpy(), feature_similarity(u, model.feature_map(v)).numpy()

    kl = np.concatenate([parts(second, first)[0], parts(first, second)[0]]).mean()
    similarity = np.concatenate([parts(second, first)[1], parts(first, second)[1]]).mean()
    assert terms["kl"].numpy() == pytest.approx(kl, rel=1e-4)
    assert terms["similarity"].numpy() == pytest.approx(similarity, rel=1e-4)
    assert terms["loss"].numpy() == pytest.approx(0.2 * kl + 0.8 * similarity, rel=1e-4)


def test_same_views_differ_from_swapped_views(teacher):
    model = bssl(teacher)
    swapped = model.loss_terms(views(), training=False)["similarity"].numpy()
    model.views = "same"
    assert model.loss_terms(views(), training=False)["similarity"].numpy() != pytest.approx(swapped, rel=1e-4)
    same_image = views()[0]
    same = model.loss_terms((same_image, same_image), training=False)["similarity"].numpy()
    model.views = "swapped"
    assert model.loss_terms((same_image, same_image), training=False)["similarity"].numpy() == pytest.approx(same)


def test_logits_variant_compares_classifiers_and_has_no_feature_map(teacher):
    model = bssl(teacher, similarity="logits", views="same")
    assert "feature_map" not in model.networks
    images = tf.concat(views(), 0)
    expected = feature_similarity(model.target_classifier(teacher(images)), model.classifier(model.backbone(images)))
    value = model.loss_terms(views(), training=False)["similarity"]
    assert value.numpy() == pytest.approx(np.mean(expected), rel=1e-4)


def test_equal_widths_need_no_feature_map():
    teacher = backbone("resnet_small", "float", 32)
    assert bssl(teacher).feature_map is None


def test_frozen_target_keeps_its_weights(teacher):
    model = bssl(teacher, target="frozen")
    model.compile(tf.keras.optimizers.Adam(1e-2))
    before = [variable.numpy() for variable in model.target_classifier.trainable_variables]
    model.fit(dataset(), verbose=0)
    for old, new in zip(before, model.target_classifier.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_target_optimizer_has_a_learning_rate_of_its_own(teacher):
    model = bssl(teacher)
    model.compile(tf.keras.optimizers.Adam(1e-2), target_optimizer=tf.keras.optimizers.Adam(1e-4))
    theta = model.target_classifier.trainable_variables[0]
    phi = model.classifier.trainable_variables[0]
    before = theta.numpy(), phi.numpy()
    model.fit(dataset(1), verbose=0)
    # Adam's first step is the learning rate, whatever the gradient.
    assert np.abs(theta - before[0]).max() == pytest.approx(1e-4, rel=0.05)
    assert np.abs(phi - before[1]).max() == pytest.approx(1e-2, rel=0.05)


def test_the_teacher_is_not_saved_with_the_student(teacher, tmp_path):
    model = bssl(teacher)
    model.compile("adam")
    model.fit(dataset(1), verbose=0)
    model.save_weights(str(tmp_path / "all"))
    saved = sum(np.prod(shape) for _, shape in tf.train.list_variables(str(tmp_path / "all")) if shape)
    of_student = sum(np.prod(w.shape) for network in model.networks.values() for w in network.weights)
    assert not any(weight is variable for weight in teacher.weights for variable in model.weights)
    assert saved < 3.2 * of_student  # weights and Adam's two moments; the teacher would not fit in


def test_lambda_follows_the_optimizers_steps(teacher):
    seen = []

    class Watch(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["balance"])
            self.model.reset_metrics()

    model = bssl(teacher, balance=CosineBalance(4))
    model.compile("adam")
    model.fit(dataset(4), callbacks=[Watch()], verbose=0)
    np.testing.assert_allclose(
        seen, [0.9, 0.7 + 0.2 * (np.cos(np.pi / 4) + 1) / 2, 0.8, 0.7 + 0.1 * (1 - 2**-0.5)], rtol=1e-5
    )


def test_cached_features_take_the_teachers_place(teacher):
    model, (first, second) = bssl(teacher), views()
    features = tf.stack([teacher(first), teacher(second)], axis=1)
    computed = model.loss_terms((first, second), training=False)
    cached = model.loss_terms((first, second), tf.cast(features, tf.float16), training=False)
    for name in ("loss", "kl", "similarity"):
        assert cached[name].numpy() == pytest.approx(computed[name].numpy(), rel=5e-4)
    others = tf.random.stateless_normal(features.shape, (0, 1))
    student = [model.feature_map(model.backbone(view)) for view in (first, second)]
    expected = [feature_similarity(others[:, 1], student[0]), feature_similarity(others[:, 0], student[1])]
    terms = model.loss_terms((first, second), others, training=False)
    assert terms["similarity"].numpy() == pytest.approx(np.mean(expected), rel=1e-4)


def test_compile_and_evaluate_and_predict_as_any_keras_model(teacher):
    model = bssl(teacher)
    model.compile("adam")
    scores = model.evaluate(dataset(2), verbose=0, return_dict=True)
    assert np.isfinite(scores["loss"])
    assert model.predict(views()[0], verbose=0).shape == (8, 64)


def test_entropies_show_collapse_and_health():
    random = np.random.default_rng(0)
    one_hot = tf.constant(20.0 * np.eye(16)[np.arange(512) % 16], tf.float32)
    alike = tf.constant(random.normal(size=(1, 16)) + np.zeros((512, 1)), tf.float32)
    healthy, collapsed = (
        {name: float(value) for name, value in entropies(logits, 0.2).items()} for logits in (one_hot, alike)
    )
    assert healthy["target_entropy"] < 0.01 and healthy["target_batch_entropy"] == pytest.approx(1.0, abs=1e-3)
    assert collapsed["target_entropy"] == pytest.approx(collapsed["target_batch_entropy"], abs=1e-3)


@pytest.mark.parametrize(
    "options", [{"similarity": "pixels"}, {"views": "mirrored"}, {"target": "moving"}, {"similarity_map": "cubic"}]
)
def test_unknown_variants_are_refused(teacher, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        bssl(teacher, **options)
