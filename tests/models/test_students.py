import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import compare, convert_backbone, deployment_plan, inspect_file
from bssl_tf.models import (
    BINARY,
    BINARY_ACTIVATIONS,
    FLOAT,
    build_backbone,
    fingerprint,
    load_backbone,
    save_backbone,
)
from bssl_tf.models.choices import ARCHITECTURES, STUDENTS, TEACHERS
from tests.models.networks import features_of, pixels_for, randomised, spec_of

OTHER_SIZES_OF_QUICKNET = ("quicknet_small", "quicknet_large")


def train_a_step(model, pixels):
    optimizer = tf.keras.optimizers.Adam(1e-2)
    with tf.GradientTape() as tape:
        features = model(pixels, training=True)
        loss = tf.reduce_mean(tf.square(features - tf.cast(tf.range(features.shape[-1]) % 3, tf.float32)))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.all(np.isfinite(gradient)), variable.name
        assert np.any(gradient.numpy() != 0), variable.name
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


def test_every_name_in_the_config_has_an_architecture():
    assert tuple(ARCHITECTURES) == STUDENTS + TEACHERS


def check_what_is_binary(model, mode):
    layers = [layer for layer in model.layers if type(layer).__name__ == "QuantConv2D"]
    layers = [layer for layer in layers if layer.kernel_size == (3, 3)]
    layers = layers[1:] if model.name.startswith("quicknet") else layers  # its float stem
    assert layers
    for layer in layers:
        assert (layer.input_quantizer is not None) == (mode != FLOAT)
        assert (layer.kernel_quantizer is not None) == (mode == BINARY)
        assert (layer.kernel_constraint is not None) == (mode == BINARY)
        assert layer.pad_values == (0.0 if mode == FLOAT else 1.0)
        assert 0 < np.abs(layer.get_weights()[0]).max() < 1.1  # where ste_sign passes gradients


@pytest.mark.parametrize("name", STUDENTS)
def test_trains_in_every_mode_on_the_weights_of_the_mode_before_and_converts(name, tmp_path):
    model = None
    for mode in ARCHITECTURES[name].modes[-1 if name in OTHER_SIZES_OF_QUICKNET else 0 :]:
        spec = spec_of(name, mode=mode)
        if model is None:
            model = build_backbone(spec)
        else:
            earlier = model.get_weights()
            model, loaded = load_backbone(tmp_path, mode=mode)
            assert loaded == spec
            for ours, theirs in zip(model.get_weights(), earlier, strict=True):
                np.testing.assert_array_equal(ours, theirs)
        check_what_is_binary(model, mode)
        before = fingerprint(model)
        train_a_step(model, tf.constant(pixels_for(spec, images=4)))
        assert fingerprint(model) != before
        save_backbone(model, spec, tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (32, *model.input_shape[1:])).astype(np.uint8)
    file = convert_backbone(model)
    assert inspect_file(file).operators["LceBconv2d"] == deployment_plan(model).binary_convolutions
    compare(model, file, [images]).check()


def test_binary_kernels_are_the_signs_of_the_latent_weights():
    spec = spec_of("reactnet_small")
    model = randomised(spec)
    flattened = build_backbone(spec_of("reactnet_small", mode=BINARY_ACTIVATIONS))
    flattened.set_weights(model.get_weights())
    for layer in flattened.layers:
        if hasattr(layer, "pad_values"):
            layer.kernel.assign(tf.where(layer.kernel >= 0, 1.0, -1.0))
    pixels = pixels_for(spec)
    expected = features_of(model, pixels)
    np.testing.assert_allclose(features_of(flattened, pixels), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "quantizer"),
    [
        ("reactnet_small", "approx_sign"),
        ("reactnet_small", "swish_sign"),
        ("reactnet_small", "magnitude_aware_sign"),
        ("binary_resnet_e18", "approx_sign"),
    ],
)
def test_other_quantizers_train(name, quantizer):
    spec = spec_of(name, quantizer=quantizer)
    model = build_backbone(spec)
    layer = next(layer for layer in model.layers if getattr(layer, "kernel_quantizer", None) is not None)
    expected = quantizer.replace("_", "")
    is_for_kernels = quantizer == "magnitude_aware_sign"
    quantizers = (layer.input_quantizer, layer.kernel_quantizer)
    names = [type(each).__name__.lower() for each in quantizers]
    assert names == ["stesign", expected] if is_for_kernels else [expected, "stesign"]
    train_a_step(model, tf.constant(pixels_for(spec, images=4)))


@pytest.mark.parametrize("name", ["reactnet_small", "quicknet_small", "binary_resnet_e18"])
def test_comes_back_from_disk_as_it_was(name, tmp_path):
    spec = spec_of(name)
    model = randomised(spec)
    save_backbone(model, spec, tmp_path / "new" / "folder")
    loaded, loaded_spec = load_backbone(tmp_path / "new" / "folder")
    assert loaded_spec == spec
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pixels = pixels_for(spec, images=2)
    np.testing.assert_array_equal(features_of(loaded, pixels), features_of(model, pixels))


@pytest.mark.parametrize("name", ["reactnet_small", "quicknet_small"])
def test_features_stay_float32_under_mixed_precision(name):
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = build_backbone(spec_of(name, dense=16 if name == "reactnet_small" else 0))
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("normalise").compute_dtype == "float32"
    assert {layer.compute_dtype for layer in model.layers} == {"float32", "float16"}
    train_a_step(model, tf.constant(pixels_for(spec_of(name), images=4)))
    assert model.output.dtype == tf.float32


def test_reactnet_a_is_the_network_of_the_paper():
    model = build_backbone(spec_of("reactnet_a", image_size=224))
    kinds = [type(layer).__name__ for layer in model.layers]
    binary = [layer for layer in model.layers if getattr(layer, "input_quantizer", None) is not None]
    assert len(binary) == 31
    assert len({id(layer.input) for layer in binary}) == 26  # signs: two branches share one
    assert kinds.count("RPReLU") == 26
    assert kinds.count("Concatenate") == 5
    assert kinds.count("AveragePooling2D") == 4

    def macs(layer):
        return np.prod(layer.kernel.shape) * np.prod(layer.output_shape[1:3])

    assert sum(map(macs, binary)) / 1e9 == pytest.approx(4.82, abs=0.005)
    stem = next(layer for layer in model.layers if type(layer).__name__ == "Conv2D")
    assert (macs(stem) + 1024 * 1000) / 1e6 == pytest.approx(12, abs=0.5)  # with a head of 1000 classes
    assert model.output_shape == (None, 1024)


@pytest.mark.parametrize(
    ("image_size", "stages", "sides"), [(8, 3, [8, 4, 2, 2]), (28, 3, [28, 14, 7, 4]), (64, 2, [32, 16, 8])]
)
def test_reactnet_small_halves_while_there_is_something_to_halve(image_size, stages, sides):
    model = build_backbone(spec_of("reactnet_small", image_size, channels=1, stages=stages, depth=2))
    layers = [layer for layer in model.layers if type(layer).__name__ in ("Conv2D", "Concatenate")]
    shapes = [layer.output_shape for layer in layers]
    assert shapes == [(None, side, side, 32 * 2**i) for i, side in enumerate(sides)]
    assert model.output_shape == (None, 32 * 2**stages)


def test_quicknet_keeps_the_blur_of_its_transitions():
    model = randomised(spec_of("quicknet_small"))
    blurs = [layer for layer in model.layers if type(layer).__name__ == "DepthwiseConv2D"]
    assert len(blurs) == 3
    for blur in blurs:
        assert not blur.trainable
        expected = np.outer([1, 2, 1], [1, 2, 1]) / 16
        np.testing.assert_allclose(blur.get_weights()[0][:, :, 0, 0], expected, rtol=1e-6)


def test_every_layer_belongs_to_one_graph():
    for name in ("reactnet_small", "binary_resnet_e18"):
        assert all(len(layer.inbound_nodes) == 1 for layer in randomised(spec_of(name)).layers)
