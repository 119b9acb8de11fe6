"""What the student learns from the target, against naive versions; where gradients go; and what must not break it."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.methods.bssl import REPORTED, Bssl, standardised
from tests.methods.small import SIZE, WIDTH, dense_backbone, two_views

K = 16


def bssl(target, teacher=None, **options):
    tf.keras.utils.set_random_seed(0)
    return Bssl(teacher or dense_backbone(seed=1), dense_backbone(), target=target, pseudo_classes=K, **options)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def logits_of_views(model, views):
    """Of both views: the student's, the target's, the standardised teacher features, the mapped student features."""
    features = [model.backbone(view) for view in views]
    raw = np.concatenate([model._teacher.features(view) for view in views])
    u = (raw - raw.mean(0)) / np.sqrt(raw.var(0) + 1e-6)
    split = np.split(u, 2)
    return (
        [model.classifier(v).numpy().astype(np.float64) for v in features],
        [model.target_classifier(u).numpy().astype(np.float64) for u in split],
        split,
        [model.feature_map(v).numpy() for v in features],
    )


def naive_similarity(u, mapped):
    pairs = ((u[1], mapped[0]), (u[0], mapped[1]))
    return np.mean([1 - (unit(a) * unit(b)).sum(-1) for a, b in pairs])


def test_contrast_finds_every_target_and_every_student_in_the_batch():
    model, views = bssl("contrast", temperature=0.3, balance=0.25), two_views()
    student, target, u, mapped = logits_of_views(model, views)
    losses = []
    for s, t in ((student[0], target[1]), (student[1], target[0])):
        scores = unit(s) @ unit(t).T / 0.3
        for i in range(len(s)):
            losses += [-np.log(softmax(scores[i])[i]), -np.log(softmax(scores[:, i])[i])]
    terms = model.loss_terms(views, training=False)
    assert terms["matching"].numpy() == pytest.approx(np.mean(losses), rel=1e-4)
    expected = 0.75 * np.mean(losses) + 0.25 * naive_similarity(u, mapped)
    assert terms["loss"].numpy() == pytest.approx(expected, rel=1e-4)


def test_balanced_targets_predict_each_others_assignment_and_the_student_predicts_them():
    model, views = bssl("balanced", temperature=0.3, target_temperature=0.2, balance=0.25), two_views()
    student, target, u, mapped = logits_of_views(model, views)
    student, target = [[unit(rows) for rows in each] for each in (student, target)]
    assigned = []
    for scores in target:
        q = np.exp(scores / 0.05)
        for _ in range(3):
            q /= q.sum(axis=0)
            q /= q.sum(axis=1, keepdims=True)
        assigned.append(q)
    own = np.mean([-(assigned[1 - i] * np.log(softmax(target[i] / 0.3))).sum(-1) for i in range(2)])
    kl = 0.0
    for s, t in ((student[0], target[1]), (student[1], target[0])):
        p, q = softmax(t / 0.2), softmax(s / 0.3)
        kl += np.mean((p * np.log(p / q)).sum(-1)) / 2
    terms = model.loss_terms(views, training=False)
    assert terms["target_loss"].numpy() == pytest.approx(own, rel=1e-4)
    assert terms["kl"].numpy() == pytest.approx(kl, rel=1e-4)
    expected = 0.75 * kl + 0.25 * naive_similarity(u, mapped) + own
    assert terms["loss"].numpy() == pytest.approx(expected, rel=1e-4)


def gradients_to_target(model, views, term):
    with tf.GradientTape() as tape:
        value = model.loss_terms(views, training=True)[term]
    return tape.gradient(value, model.target_classifier.trainable_variables)


def test_only_what_cannot_collapse_trains_the_target():
    views = two_views()
    for target, term, trains in (
        ("joint", "kl", True),
        ("contrast", "matching", True),
        ("balanced", "kl", False),
        ("balanced", "target_loss", True),
    ):
        found = [gradient is not None for gradient in gradients_to_target(bssl(target), views, term)]
        assert any(found) == trains, (target, term)


def test_a_constant_target_is_the_best_for_joint_and_the_worst_otherwise():
    """The last layer of both classifiers is made to ignore its input."""
    views, losses = two_views(), {}
    for target in ("joint", "contrast", "balanced"):
        model = bssl(target, balance=0.0)
        before = model.loss_terms(views, training=True)
        for classifier in (model.classifier, model.target_classifier):
            kernel, bias = classifier.layers[-1].weights
            kernel.assign(tf.zeros_like(kernel))
            bias.assign(tf.range(1.0, K + 1))
        after = model.loss_terms(views, training=True)
        losses[target] = before["loss"].numpy(), after["loss"].numpy()
        if target == "contrast":
            assert after["target_std"].numpy() < 1e-3
            assert after["loss"].numpy() == pytest.approx(np.log(8), rel=1e-4)
    assert losses["joint"][1] < 1e-5 < losses["joint"][0]
    assert losses["balanced"][1] > np.log(K) - 0.2  # of the cross entropy: balanced assignments of equals are uniform


@pytest.mark.parametrize("target", REPORTED)
@pytest.mark.parametrize("case", ["one image", "dead features", "constant teacher", "mixed_bfloat16", "mixed_float16"])
def test_loss_and_gradients_stay_finite(target, case):
    views, teacher = two_views(1 if case == "one image" else 8), dense_backbone(seed=1)
    if case == "dead features":
        teacher = tf.keras.Model(teacher.inputs, teacher.output * tf.constant([1.0, 0.0, 1.0, 0.0, 1.0, 1.0]))
    if case == "constant teacher":
        teacher = tf.keras.Model(teacher.inputs, teacher.output * 0.0 + 3.0)
    try:
        tf.keras.mixed_precision.set_global_policy(case if case.startswith("mixed") else "float32")
        model = bssl(target, teacher)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    with tf.GradientTape() as tape:
        terms = model.loss_terms(views, training=True)
    assert set(terms) == set(model.reported)
    for name, value in terms.items():
        assert np.isfinite(value), name
    for gradient in tape.gradient(terms["loss"], model.trainable_variables):
        assert gradient is None or np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    "target, standardise, compares",
    [
        *(("joint", False, False), ("frozen", False, False), ("joint", True, True)),
        *(("contrast", False, True), ("balanced", False, True)),
    ],
)
def test_micro_batches_are_refused_where_images_are_compared(target, standardise, compares):
    model = bssl(target, standardise=standardise)
    assert model.compares_images == compares
    if compares:
        with pytest.raises(ValueError, match="micro batches"):
            model.compile("sgd", micro_batches=2)
    else:
        model.compile("sgd", micro_batches=2)


def test_cached_features_take_the_teachers_place():
    for target in ("contrast", "balanced"):
        model, views = bssl(target), two_views()
        cached = tf.stack([model._teacher.features(view) for view in views], axis=1)
        computed = model.loss_terms(views, training=False)["loss"]
        from_cache = model.loss_terms(views, tf.cast(cached, tf.float16), training=False)["loss"]
        assert from_cache.numpy() == pytest.approx(computed.numpy(), rel=2e-3)


def test_standardised_features_have_mean_0_and_deviation_1_but_for_dead_ones():
    rows = np.random.default_rng(0).normal(7.0, 3.0, (64, 4)).astype(np.float32)
    rows[:, 2] = 5.0
    result = standardised(tf.constant(rows)).numpy()
    np.testing.assert_allclose(result.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(result.std(0), [1, 1, 0, 1], atol=1e-4)


def test_maps_to_the_teachers_width():
    assert bssl("balanced", similarity_map="identity").feature_map is None
    assert bssl("balanced", similarity_map="auto").feature_map is None
    assert [len(bssl("balanced", similarity_map=kind).feature_map.layers) for kind in ("linear", "mlp")] == [1, 5]
    narrow = tf.keras.Sequential([tf.keras.Input((SIZE, SIZE, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(3)])
    assert bssl("balanced", narrow, similarity_map="auto").feature_map.output_shape == (None, 3)
    with pytest.raises(ValueError, match=f"{WIDTH}, the teacher's 3"):
        bssl("balanced", narrow, similarity_map="identity")
