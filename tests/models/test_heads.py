import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.models import PixelNormalisation, mlp_head


def test_head_has_two_layers_and_one_batch_norm():
    head = mlp_head(6, hidden=10, outputs=4, name="classifier")
    assert head.name == "classifier"
    kinds = [type(layer).__name__ for layer in head.layers]
    assert kinds == ["InputLayer", "Dense", "BatchNormalization", "ReLU", "Dense"]
    assert [weight.shape for weight in head.get_weights()] == [
        (6, 10), (10,), (10,), (10,), (10,), (10, 4), (4,),
    ]  # fmt: skip


def test_head_starts_as_in_pytorch():
    head = mlp_head(100, hidden=400, outputs=300, name="classifier")
    for layer, inputs in ((head.layers[1], 100), (head.layers[-1], 400)):
        kernel = layer.get_weights()[0]
        assert np.abs(kernel).max() == pytest.approx(inputs**-0.5, rel=0.01)


def test_two_heads_differ():
    first, second = (mlp_head(6, hidden=10, outputs=4, name="head") for _ in range(2))
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])


def test_head_computes_in_float32_under_mixed_precision():
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        head = mlp_head(6, hidden=10, outputs=4, name="classifier")
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in head.layers} == {"float32"}
    assert head(tf.ones((2, 6))).dtype == tf.float32


def test_normalisation_comes_back_from_its_config():
    layer = PixelNormalisation((10, 20, 30), (1, 2, 4))
    pixels = np.full((1, 2, 2, 3), 50, np.float32)
    expected = np.broadcast_to([40, 15, 5], pixels.shape)
    np.testing.assert_allclose(layer(pixels), expected)
    np.testing.assert_allclose(PixelNormalisation.from_config(layer.get_config())(pixels), expected)
    assert layer.weights == []


@pytest.mark.parametrize(("mean", "std"), [((1, 2), (1,)), ((1,), (0,))])
def test_normalisation_refuses_impossible_numbers(mean, std):
    with pytest.raises(ValueError, match="std"):
        PixelNormalisation(mean, std)


def test_normalisation_refuses_other_channels():
    with pytest.raises(ValueError, match="3 channels, but the images have 1"):
        PixelNormalisation((1, 2, 3), (1, 1, 1))(np.zeros((1, 2, 2, 1), np.float32))
