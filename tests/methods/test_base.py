"""The training step that all methods share: micro batches and loss scales change how it computes, not what."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.methods.common.base import Method
from bssl_tf.training.optimizers import build_optimizer


class ToTarget(Method):
    """A dense network without batch norm that learns to give the mean of two views."""

    reported = ("loss", "largest")

    def __init__(self):
        super().__init__()
        self.backbone = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3)])

    @property
    def networks(self):
        return {"backbone": self.backbone}

    def loss_terms(self, views, *, training):
        outputs = tf.cast(self.backbone(views[0], training=training), tf.float32)
        errors = tf.reduce_mean(tf.square(outputs - tf.reduce_mean(views[1], -1, keepdims=True)), -1)
        return {"loss": tf.reduce_mean(errors), "largest": tf.reduce_max(errors)}


def trained(steps=4, images=12, learning_rate=0.1, optimizer="sgd", **options):
    tf.keras.utils.set_random_seed(0)
    model = ToTarget()
    model.compile(build_optimizer(optimizer, learning_rate), **options)
    views = tuple(tf.random.stateless_normal((images, 4), (view, 1)) for view in range(2))
    history = model.fit(tf.data.Dataset.from_tensors((views,)).repeat(steps), verbose=0).history
    return model.backbone.get_weights(), history


@pytest.mark.parametrize("micro_batches", [2, 3, 12])
def test_micro_batches_are_the_whole_batch(micro_batches):
    whole, history = trained()
    parts, in_parts = trained(micro_batches=micro_batches)
    for expected, ours in zip(whole, parts, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    assert in_parts["loss"] == pytest.approx(history["loss"], rel=1e-5)


def test_micro_batches_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="12 images cannot be split into 5"):
        trained(micro_batches=5)


def test_what_a_method_gives_is_what_it_said_it_would_report():
    class Silent(ToTarget):
        reported = ("loss",)

    model = Silent()
    model.compile("adam")
    views = (tf.ones((2, 4)), tf.ones((2, 4)))
    with pytest.raises(ValueError, match="largest"):
        model.fit(tf.data.Dataset.from_tensors((views,)), verbose=0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_mixed_precision_learns_the_same_to_its_accuracy(policy, micro_batches):
    whole, _ = trained()
    try:
        tf.keras.mixed_precision.set_global_policy(policy)
        mixed, _ = trained(micro_batches=micro_batches)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    for expected, ours in zip(whole, mixed, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, expected, atol=0.02)
        assert not np.array_equal(ours, expected)


def test_views_may_be_whole_numbers():
    class Watched(ToTarget):
        def loss_terms(self, views, *, training):
            assert [view.dtype for view in views] == [tf.float32] * 2
            return super().loss_terms(views, training=training)

    model = Watched()
    model.compile("sgd", micro_batches=2)
    views = (tf.fill((2, 4), tf.constant(200, tf.uint8)), tf.zeros((2, 4), tf.uint8))
    model.fit(tf.data.Dataset.from_tensors((views,)), verbose=0)


def test_views_can_be_made_in_the_step():
    views = tuple(tf.random.stateless_normal((12, 4), (view, 1)) for view in range(2))
    stacked = tf.stack(views, axis=1)
    expected, _ = trained()
    tf.keras.utils.set_random_seed(0)
    model = ToTarget()
    model.compile(
        build_optimizer("sgd", 0.1), micro_batches=3, make_views=lambda both, sign: tf.unstack(both * sign, axis=1)
    )
    model.fit(tf.data.Dataset.from_tensors(((stacked, tf.ones((12, 1, 1))),)).repeat(4), verbose=0)
    for theirs, ours in zip(expected, model.backbone.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_step_is_traced_once():
    tf.keras.utils.set_random_seed(0)
    model = ToTarget()
    model.compile(build_optimizer("adam", 0.1), micro_batches=2)
    views = tuple(tf.random.stateless_normal((12, 4), (view, 1)) for view in range(2))
    model.optimizer.build(model.trainable_variables)  # as the checkpoint does
    for _ in range(2):  # as after an interruption: the epoch that was begun, then the others
        model.fit(tf.data.Dataset.from_tensors((views,)).repeat(3), epochs=2, verbose=0)
    assert model.train_tf_function.experimental_get_tracing_count() == 1
