import json

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.models import HeadLayer, PixelNormalisation, build_head, load_head, mlp_head, save_head

MOCO = (HeadLayer(5, "relu"), HeadLayer(4))
DEEP = (HeadLayer(5, "relu", True, False), HeadLayer(6, None, True, True), HeadLayer(3, "relu"))


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


@pytest.mark.parametrize("layers", [MOCO, DEEP, (HeadLayer(4),)])
def test_heads_come_back_from_disk(tmp_path, layers):
    head = build_head(7, layers)
    for variable in head.variables:
        variable.assign(np.random.default_rng(0).uniform(0.1, 1, variable.shape))
    save_head(head, tmp_path)
    features = np.random.default_rng(1).normal(size=(3, 7)).astype(np.float32)
    loaded = load_head(tmp_path)
    np.testing.assert_array_equal(loaded(features), head(features))
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in head.layers]
    save_head(mlp_head(6, hidden=10, outputs=4, name="other"), tmp_path)
    assert load_head(tmp_path).input_shape == (None, 6)


def test_description_of_a_head(tmp_path):
    save_head(build_head(7, MOCO), tmp_path)
    assert json.loads((tmp_path / "projection.json").read_text()) == {
        "layers": [
            {"units": 5, "activation": "relu", "batch_norm": False, "use_bias": True},
            {"units": 4, "activation": None, "batch_norm": False, "use_bias": True},
        ],
        "input_width": 7,
    }


def test_relu_follows_the_batch_norm():
    head = build_head(2, [HeadLayer(2, "relu", batch_norm=True)])
    assert [type(layer).__name__ for layer in head.layers[1:]] == ["Dense", "BatchNormalization", "ReLU"]


def test_heads_that_cannot_be_loaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="projection.json is missing"):
        load_head(tmp_path)
    save_head(build_head(7, MOCO), tmp_path)
    description = json.loads((tmp_path / "projection.json").read_text())
    for changed, words in (
        (description | {"input_width": 8}, "projection.weights.h5 does not fit"),
        (description | {"layers": [{"units": 5, "activation": "gelu"}]}, "projection.json.*gelu"),
        ({}, "projection.json cannot be used"),
    ):
        (tmp_path / "projection.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=words):
            load_head(tmp_path)


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
