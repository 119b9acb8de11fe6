import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.methods.supervised import Supervised
from tests.methods.small import dense_backbone, fit, two_views


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_and_accuracy_are_those_of_both_views(smoothing):
    model, views = Supervised(dense_backbone(), num_classes=3, label_smoothing=smoothing), two_views()
    labels = np.arange(8) % 3
    logits = np.concatenate([model.head(model.backbone(view)) for view in views])
    target = np.eye(3)[np.tile(labels, 2)] * (1 - smoothing) + smoothing / 3
    shifted = logits - logits.max(-1, keepdims=True)
    expected = -np.mean(np.sum(target * (shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))), -1))
    terms = model.loss_terms(views, tf.constant(labels), training=False)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    assert float(terms["accuracy"]) == pytest.approx(np.mean(logits.argmax(-1) == np.tile(labels, 2)))


def test_labels_come_with_the_views():
    model = Supervised(dense_backbone(), num_classes=3)
    labels = tf.constant(np.arange(8) % 3)
    first = fit(model, (two_views(), labels), learning_rate=0.5)
    last = fit(model, *[(two_views(), labels)] * 15)
    assert last["loss"] < first["loss"]
