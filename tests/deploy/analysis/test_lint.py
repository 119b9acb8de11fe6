import larq as lq
import pytest
import tensorflow as tf

from bssl_tf.deploy import deployment_plan
from bssl_tf.deploy.analysis.lint import lint

L = tf.keras.layers


def bad_network():
    """Every problem that the linter knows, a layer each, named after it."""
    binary = dict(input_quantizer="ste_sign", kernel_quantizer="ste_sign", use_bias=False)
    x = pixels = L.Input((16, 16, 3))
    x = L.BatchNormalization(name="unfused")(L.Conv2D(48, 3, activation="relu", name="stem")(x))
    x = L.BatchNormalization()(lq.layers.QuantConv2D(52, 3, padding="same", name="zero_padded", **binary)(x))
    x = L.ReLU(name="late_relu")(x)
    x = L.BatchNormalization()(L.Conv2D(128, 1, name="pointwise")(x))
    depthwise = dict(input_quantizer="ste_sign", depthwise_quantizer="ste_sign", name="depthwise")
    x = L.GlobalAveragePooling2D()(lq.layers.QuantDepthwiseConv2D(3, **depthwise)(x))
    x = lq.layers.QuantDense(64, name="binary_dense", **binary)(x)
    return tf.keras.Model(pixels, L.Dense(10, name="classifier")(x), name="bad")


@pytest.fixture(scope="module")
def bad():
    return lint(bad_network())


@pytest.mark.parametrize(
    "words, level, names",
    [
        ("zero padding", "problem", ["zero_padded"]),
        ("multiple of 32", "problem", ["zero_padded"]),
        ("multiple of 8,", "problem", ["zero_padded"]),
        ("no binary operator", "problem", ["depthwise", "binary_dense"]),
        ("behind the batch norm", "problem", ["late_relu"]),
        ("no convolution right in front", "note", ["unfused"]),
        ("a float 1×1 convolution", "note", ["pointwise"]),
        ("a float dense layer", "note", ["classifier"]),
        ("reads pixels", "by design", ["stem"]),
    ],
)
def test_each_weakness_is_found_where_it_is(bad, words, level, names):
    (finding,) = [finding for finding in bad.plan.findings if words in finding.what]
    assert finding.level == level and [layer.name for layer in finding.layers] == names


def test_costs_are_those_of_the_layers(bad):
    text = bad.render()
    weights = 4 * (128 * 52 + 128)
    share = weights / bad.plan.file_bytes
    macs, every = 14 * 14 * 52 * 128, bad.plan.float_macs
    expected = f"{weights / 1000:.3g} kB ({share:.1%} of the file), {macs / 1e6:.3g} M float multiply-accumulates"
    assert f"{expected} ({macs / every:.1%} of them), 1 operator\n" in text
    assert "Found: 5 × problem, 3 × note, " in text


def test_problems_fail_and_notes_only_if_asked(bad, residual):
    good = lint(residual)  # its only notes: registers that are not full
    assert not bad.ok() and good.ok() and not good.ok(strict=True)


def test_an_activation_in_front_of_the_batch_norm_is_no_problem(plain):
    assert not [layer for layer in deployment_plan(plain).layers if "follows the batch norm" in layer.why]


def test_an_open_image_size_is_told():
    layers = [L.InputLayer((None, None, 3)), L.Conv2D(8, 3), L.GlobalAveragePooling2D(), L.Dense(4)]
    text = lint(tf.keras.Sequential(layers)).render()
    assert "so multiply-accumulates cannot be counted" in text
    assert "float multiply-accumulates" not in text and "0 binary convolutions; file" in text
