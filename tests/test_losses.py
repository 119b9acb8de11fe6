"""Losses against naive versions in NumPy, float64, over random shapes."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.losses import cross_entropy, feature_similarity, info_nce, kl_divergence, matching, nt_xent, sinkhorn

SHAPES = [(1, 2), (3, 7), (16, 256), (5, 2000)]


def naive_softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
def test_kl_divergence_is_the_sum_over_classes(shape, temperature):
    random = np.random.default_rng(shape[1])
    target, student = random.normal(size=shape), random.normal(size=shape)
    p, q = naive_softmax(target / temperature), naive_softmax(student / temperature)
    expected = [sum(p[i, k] * np.log(p[i, k] / q[i, k]) for k in range(shape[1])) for i in range(shape[0])]
    value = kl_divergence(tf.constant(target, tf.float32), tf.constant(student, tf.float32), temperature)
    assert value.shape == (shape[0],)
    np.testing.assert_allclose(value, expected, rtol=2e-4, atol=1e-5)


def test_kl_divergence_is_zero_for_equal_logits_and_not_symmetric():
    a, b = tf.constant([[1.0, 2.0, 3.0]]), tf.constant([[3.0, 0.0, 0.0]])
    assert abs(kl_divergence(a, a, 0.2).numpy()[0]) < 1e-6
    assert abs(kl_divergence(a, b, 1.0) - kl_divergence(b, a, 1.0)).numpy()[0] > 0.01


def test_kl_divergence_trains_both_sides_with_the_right_gradients():
    random = np.random.default_rng(0)
    target, student = (tf.Variable(random.normal(size=(4, 6)), dtype=tf.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(kl_divergence(target, student, 0.5))
    of_target, of_student = tape.gradient(loss, [target, student])
    p, q = naive_softmax(target.numpy() / 0.5), naive_softmax(student.numpy() / 0.5)
    divergence = np.sum(p * np.log(p / q), axis=-1, keepdims=True)
    np.testing.assert_allclose(of_student, (q - p) / 0.5, atol=1e-5)
    np.testing.assert_allclose(of_target, p * (np.log(p / q) - divergence) / 0.5, atol=1e-5)


def test_kl_divergence_survives_extreme_logits():
    value = kl_divergence(tf.constant([[1e4, -1e4]]), tf.constant([[-1e3, 1e3]]), 0.2)
    assert np.isfinite(value).all() and value.numpy()[0] > 1e3


@pytest.mark.parametrize("shape", SHAPES)
def test_feature_similarity_is_one_minus_cosine_and_half_the_squared_distance(shape):
    random = np.random.default_rng(shape[0])
    u, v = random.normal(size=shape), random.normal(size=shape)
    value = feature_similarity(tf.constant(u, tf.float32), tf.constant(v, tf.float32))
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (u, v)]
    assert value.shape == (shape[0],)
    np.testing.assert_allclose(value, [1 - a @ b for a, b in zip(*unit, strict=True)], atol=1e-5)
    np.testing.assert_allclose(2 * value, np.sum((unit[0] - unit[1]) ** 2, axis=-1), atol=1e-5)


@pytest.mark.parametrize("batch", [2, 5, 32])
def test_nt_xent_against_loops(batch):
    random = np.random.default_rng(batch)
    first, second = random.normal(size=(2, batch, 8))
    views = np.concatenate([first, second])
    views /= np.linalg.norm(views, axis=-1, keepdims=True)
    expected = []
    for i in range(2 * batch):
        others = [np.exp(views[i] @ views[j] / 0.3) for j in range(2 * batch) if j != i]
        expected.append(-np.log(np.exp(views[i] @ views[(i + batch) % (2 * batch)] / 0.3) / sum(others)))
    value = nt_xent(tf.constant(first, tf.float32), tf.constant(second, tf.float32), 0.3)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_matching_is_the_cross_entropy_of_rows_and_of_columns(batch):
    random = np.random.default_rng(batch)
    a, b = random.normal(size=(2, batch, 6))
    scores = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T / 0.1
    expected = [
        -np.log(naive_softmax(scores)[i, i]) / 2 - np.log(naive_softmax(scores.T)[i, i]) / 2 for i in range(batch)
    ]
    value = matching(tf.constant(a, tf.float32), tf.constant(b, tf.float32), 0.1)
    np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-4)


def test_losses_compute_in_float32_under_half_precision():
    halves = [tf.cast(tf.random.stateless_normal((4, 8), (0, i)), tf.float16) for i in range(2)]
    for value in (kl_divergence(*halves, 0.2), feature_similarity(*halves), nt_xent(*halves, 0.2)):
        assert value.dtype == tf.float32


def test_losses_refuse_shapes_that_do_not_match():
    with pytest.raises(ValueError, match=r"target_logits and student_logits .* \(4, 8\) and \(4, 9\)"):
        kl_divergence(tf.zeros((4, 8)), tf.zeros((4, 9)), 0.2)
    with pytest.raises(ValueError, match="batch, width"):
        feature_similarity(tf.zeros((4,)), tf.zeros((4,)))
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        kl_divergence(tf.zeros((4, 8)), tf.zeros((4, 8)), 0)


def test_info_nce_is_the_cross_entropy_of_the_own_key():
    random = np.random.default_rng(4)
    queries, keys, queue = (random.normal(size=(rows, 6)) for rows in (5, 5, 9))
    queue /= np.linalg.norm(queue, axis=-1, keepdims=True)
    expected, hits = [], []
    for query, key in zip(queries, keys, strict=True):
        cosines = [np.dot(query, key) / np.linalg.norm(query) / np.linalg.norm(key)]
        cosines += [np.dot(query, other) / np.linalg.norm(query) for other in queue]
        expected.append(-np.log(naive_softmax(np.array(cosines) / 0.3)[0]))
        hits.append(cosines[0] == max(cosines))
    losses, ours = info_nce(*(tf.constant(rows, tf.float32) for rows in (queries, keys, queue)), 0.3)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    np.testing.assert_array_equal(ours, hits)


@pytest.mark.parametrize("iterations", [1, 3])
def test_sinkhorn_scales_columns_and_rows_in_turn(iterations):
    scores = np.random.default_rng(5).normal(size=(7, 3))
    plan = np.exp(scores / 0.5)
    for _ in range(iterations):
        plan /= plan.sum(axis=0, keepdims=True) * 3  # each prototype gets a third of the mass
        plan /= plan.sum(axis=1, keepdims=True) * 7  # each sample has a seventh
    np.testing.assert_allclose(sinkhorn(tf.constant(scores), 0.5, iterations), plan * 7, rtol=1e-4)


def test_sinkhorn_does_not_overflow():
    assert np.all(np.isfinite(sinkhorn(tf.constant([[1.0, -1.0], [1.0, 0.9]]), 1e-3, 3)))


def test_cross_entropy_under_a_distribution():
    target, logits = np.array([[0.2, 0.8]]), np.array([[1.0, 3.0]])
    value = cross_entropy(tf.constant(target, tf.float32), tf.constant(logits, tf.float32))
    np.testing.assert_allclose(value, [-np.sum(target * np.log(naive_softmax(logits)))], rtol=1e-5)
