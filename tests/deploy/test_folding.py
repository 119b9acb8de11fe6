"""Folded networks compute what the networks compute, on weights as irregular as trained ones, with fewest operators."""

from collections import Counter

import larq as lq
import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import TfliteBackbone, convert_backbone, inspect_file
from bssl_tf.deploy.folding import fold
from bssl_tf.deploy.folding.nodes import Opaque, Prelu, Scale, Shift, Sum, in_order
from bssl_tf.models.choices import STUDENTS
from bssl_tf.models.layers import LearnableBias, RPReLU
from bssl_tf.models.normalisation import PixelNormalisation
from tests.models.networks import features_of, pixels_for, randomised, spec_of

L = tf.keras.layers
VARIANTS = [
    *(dict(name=name) for name in STUDENTS),
    dict(name="binary_resnet_e18", image_size=64),  # another stem, with a batch norm behind a max pool
    dict(name="reactnet_small", image_size=28, channels=1, depth=2, dense=8),  # odd feature maps: 28, 14, 7, 4
    dict(name="reactnet_small", quantizer="magnitude_aware_sign"),
    dict(name="reactnet_small", mode="binary_activations"),
    dict(name="reactnet_small", mode="float"),
]


def counted(network):
    return Counter(type(node) for node in in_order(network.output))


def relative_deviations(expected, features):
    return np.linalg.norm(expected - features, axis=1) / np.linalg.norm(expected, axis=1)


def assert_same(expected, features):
    """A sum rounded to the other side of zero flips a sign: that strikes single images, a mistake strikes all."""
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()  # images differ
    deviations = relative_deviations(expected, features)
    assert np.mean(deviations < 5e-6) >= 0.6, deviations


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
def test_same_features_and_no_layer_unknown(variant):
    spec = spec_of(**variant)
    model, pixels = randomised(spec), pixels_for(spec)
    folded = fold(model)
    assert_same(features_of(model, pixels), folded(tf.constant(pixels)).numpy())
    assert not counted(folded)[Opaque] and not counted(folded)[Scale]


@pytest.mark.parametrize("name, halves, doublings", [("reactnet_a", 26, 5), ("reactnet_small", 6, 3)])
def test_reactnets_have_the_fewest_elementwise_operators(name, halves, doublings):
    kinds = counted(fold(randomised(spec_of(name))))
    assert kinds[Sum] == halves + doublings and kinds[Prelu] == halves
    assert kinds[Shift] == (halves - 1) + 1 + 1  # in front of signs; mean of the pixels; features
    assert kinds[Sum] + kinds[Prelu] + kinds[Shift] == 3 * halves - 1 + doublings + 2


@pytest.mark.parametrize("name", ["quicknet_small", "quicknet_large", "binary_resnet_e18"])
def test_networks_without_biases_keep_the_shift_of_their_pixels_only(name):
    assert counted(fold(randomised(spec_of(name))))[Shift] == 1


@pytest.mark.parametrize("quantizer", ["ste_sign", "magnitude_aware_sign"])
def test_the_engine_computes_the_same_with_these_operators(quantizer):
    spec = spec_of("reactnet_small", 16, channels=1, depth=2, stages=2, quantizer=quantizer)
    model, pixels = randomised(spec), pixels_for(spec)
    file = convert_backbone(model)
    assert_same(features_of(model, pixels), TfliteBackbone(file).features(pixels))
    operators = inspect_file(file).operators
    halves, doublings = 8, 2
    assert operators.pop("ADD") + operators.pop("SUB", 0) == 2 * halves - 1 + doublings + 2
    assert operators == {
        "LceBconv2d": halves + doublings,
        "LceQuantize": halves,
        "PRELU": halves,
        "CONCATENATION": doublings,
        "AVERAGE_POOL_2D": 2,
        "CAST": 1,
        "CONV_2D": 1,
        "MEAN": 1,
    }
    unfolded = inspect_file(convert_backbone(model, folded=False)).operators
    assert sum(unfolded.values()) > sum(operators.values()) + 3 * halves


def small(*layers, shape=(6, 6, 4), seed=0):
    """Layers in a row with random weights, and pixels for them."""
    rng = np.random.default_rng(seed)
    x = pixels = L.Input(shape)
    for layer in layers:
        x = layer(x)
    model = tf.keras.Model(pixels, x)
    for weight in model.weights:
        weight.assign(
            rng.uniform(0.5, 1.5, weight.shape) if "variance" in weight.name else rng.normal(0, 1, weight.shape)
        )
    return model, rng.normal(0, 1, (8, *shape)).astype(np.float32)


def check(model, pixels, **expected):
    folded = fold(model)
    assert_same(
        model(pixels, training=False).numpy().reshape(len(pixels), -1), folded(pixels).numpy().reshape(len(pixels), -1)
    )
    kinds = {kind.__name__: count for kind, count in counted(folded).items()}
    assert {name: kinds.get(name, 0) for name in expected} == expected


def test_neighbouring_biases_become_one():
    check(*small(LearnableBias(), LearnableBias(), L.ReLU(), LearnableBias()), Shift=2)


def test_biases_pass_pools_and_convolutions_without_padding():
    tail = (L.MaxPooling2D(2), L.AveragePooling2D(2, padding="same"), L.Conv2D(5, 2, activation="relu"))
    check(*small(L.ReLU(), LearnableBias(), *tail), Shift=0)
    check(*small(L.ReLU(), LearnableBias(), L.DepthwiseConv2D(3, depth_multiplier=2), L.Flatten()), Shift=0)
    check(*small(L.ReLU(), LearnableBias(), L.GlobalAveragePooling2D(), L.Dense(3)), Shift=0)


def test_biases_stay_in_front_of_a_border_of_zeros():
    check(*small(L.ReLU(), LearnableBias(), L.Conv2D(5, 3, padding="same")), Shift=1)
    check(*small(L.Conv2D(4, 1), LearnableBias(), L.Conv2D(5, 3, padding="same")), Shift=0)


def test_pixel_normalisation_becomes_one_shift():
    check(*small(PixelNormalisation([1.0] * 4, [3.0] * 4), L.Conv2D(5, 3, padding="same")), Scale=0, Shift=1)
    check(*small(PixelNormalisation([1.0] * 4, [3.0] * 4), L.ReLU()), Scale=1, Shift=1)


def test_negative_factors_do_not_pass_maxima_and_activations():
    def behind(layer):
        model, pixels = small(L.Conv2D(4, 1), layer, L.BatchNormalization())
        gamma = model.layers[-1].gamma
        gamma.assign(np.abs(gamma) * [1, -1, 1, 1])
        return model, pixels

    for layer in (L.ReLU(), L.MaxPooling2D(2), RPReLU()):
        model, pixels = behind(layer)
        check(model, pixels, Scale=1)
        model.layers[-1].gamma.assign(np.abs(model.layers[-1].gamma))
        check(model, pixels, Scale=0)
    check(*behind(L.AveragePooling2D(2)), Scale=0)


def test_what_others_need_too_is_not_changed():
    pixels = L.Input((6, 6, 4))
    x = L.Conv2D(4, 1)(pixels)
    model = tf.keras.Model(pixels, L.Concatenate()([L.ReLU()(x), L.ReLU()(L.BatchNormalization()(x))]))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    check(model, rng.normal(0, 1, (8, 6, 6, 4)).astype(np.float32), Scale=1, Shift=1)


def test_a_convolution_that_is_reached_twice_takes_no_constant():
    pixels = L.Input((6, 6, 4))
    x = L.Conv2D(4, 1)(pixels)
    first, second = LearnableBias(), LearnableBias()
    model = tf.keras.Model(pixels, L.ReLU()(L.Add()([first(x), second(L.MaxPooling2D(3, 1, padding="same")(x))])))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.get_weights()])
    check(model, rng.normal(0, 1, (8, 6, 6, 4)).astype(np.float32), Shift=1)


def test_unknown_layers_and_nested_models_are_taken_as_they_are():
    inner, _ = small(L.Conv2D(4, 1), LearnableBias(), shape=(6, 6, 4))
    model, pixels = small(inner, L.Lambda(tf.nn.softplus), L.BatchNormalization(), L.SeparableConv2D(3, 3))
    check(model, pixels, Opaque=2, Scale=1, Shift=1)


def test_what_is_no_sign_stays_with_its_layer():
    convolution = lq.layers.QuantConv2D(4, 1, input_quantizer="ste_tern", kernel_quantizer="ste_sign")
    check(*small(LearnableBias(), convolution), Opaque=1, Shift=1)


def test_the_model_is_left_alone():
    model, _ = small(L.Conv2D(4, 1), L.BatchNormalization(), LearnableBias())
    before = model.get_weights()
    fold(model)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
