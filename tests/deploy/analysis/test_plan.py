import larq as lq
import pytest
import tensorflow as tf

from bssl_tf.deploy import deployment_plan, inspect_file
from bssl_tf.deploy.analysis.plan import bytes_text, count_text
from bssl_tf.deploy.flatbuffer.inspect import BINARY_OUTPUT, BINARY_WEIGHTS

L = tf.keras.layers


def layers_of(model):
    return {layer.name: layer for layer in deployment_plan(model).layers}


def small_network(*layers, shape=(8, 8, 32)):
    return tf.keras.Sequential([L.InputLayer(shape), *layers, L.GlobalAveragePooling2D()])


def quantized(kind=lq.layers.QuantConv2D, *arguments, **options):
    return kind(*arguments, **{**dict(input_quantizer="ste_sign", padding="valid"), **options})


def test_multiply_accumulates_by_hand(residual):
    plan = deployment_plan(residual)
    assert plan.binary_convolutions == 4
    assert plan.binary_macs == (16 * 16 + 8 * 8) * 9 * 32 * 32 + 2 * 8 * 8 * 32 * 32
    assert plan.float_macs == 16 * 16 * 9 * 3 * 32


def test_a_dense_layer_counts_too(plain):
    assert deployment_plan(plain).float_macs == 8 * 8 * 9 * 1 * 64 + 64 * 48


def test_a_dense_layer_counts_at_every_position_and_a_transposed_convolution_by_its_input():
    up = L.Conv2DTranspose(5, 3, strides=2, padding="same", name="up")
    layers = layers_of(small_network(L.Dense(7, name="dense"), up, shape=(8, 4, 3)))
    assert layers["dense"].float_macs == 8 * 4 * 3 * 7
    assert layers["up"].float_macs == 8 * 4 * 9 * 7 * 5 and layers["up"].kernel == (3, 3, 7, 5)


@pytest.mark.parametrize("quantizer", [lq.quantizers.SteHeaviside(), lq.quantizers.NoOp(1), "magnitude_aware_sign"])
def test_inputs_of_one_bit_that_are_no_signs(quantizer):
    conv = quantized(filters=32, kernel_size=3, input_quantizer=quantizer, kernel_quantizer="ste_sign", name="conv")
    assert layers_of(small_network(conv))["conv"].deployed_as == "float"
    conv = quantized(filters=32, kernel_size=3, kernel_quantizer="magnitude_aware_sign", name="conv")
    assert layers_of(small_network(conv))["conv"].deployed_as == "LceBconv2d"


def test_numbers_in_short():
    numbers = (0, 999, 1000, 12345, 999_499, 999_500, 999_600, 1_234_567, 999_999_999, 10**12, 10**16)
    assert [count_text(number) for number in numbers] == [
        *("0", "999", "1 k", "12.3 k", "999 k", "1 M", "1 M", "1.23 M", "1 G", "1 T", "10000 T")
    ]
    assert bytes_text(999_999) == "1 MB" and bytes_text(10) == "10 B"


@pytest.mark.parametrize("network", ["residual", "plain"])
def test_projected_size_is_that_of_the_file(network, request):
    plan = deployment_plan(request.getfixturevalue(network))
    report = inspect_file(request.getfixturevalue(f"{network}_file"))
    assert plan.file_bytes == pytest.approx(report.file_bytes, rel=0.04)
    assert plan.binary_weight_bytes == report.constant_bytes[BINARY_WEIGHTS]
    assert plan.binary_convolutions == report.operators["LceBconv2d"]
    binary_output = sum(layer.float_bytes for layer in plan.layers if layer.binary)
    assert binary_output == report.constant_bytes[BINARY_OUTPUT]


def test_batch_norm_fuses_behind_a_convolution_only(plain):
    deployed = [layer.deployed_as for layer in deployment_plan(plain).layers if layer.what == "BatchNormalization"]
    assert deployed == ["float", "fused", "fused", "fused"]


def test_a_shared_convolution_output_keeps_its_batch_norm_apart():
    pixels = L.Input((8, 8, 32))
    x = quantized(filters=32, kernel_size=1, kernel_quantizer="ste_sign")(pixels)
    model = tf.keras.Model(pixels, L.GlobalAveragePooling2D()(L.Add()([x, L.BatchNormalization(name="norm")(x)])))
    assert layers_of(model)["norm"].deployed_as == "float"


def test_channels_fill_whole_words():
    model = small_network(
        quantized(filters=8, kernel_size=3, kernel_quantizer="ste_sign", name="conv"), shape=(8, 8, 40)
    )
    assert layers_of(model)["conv"].binary_weight_bytes == 8 * 9 * 2 * 4


def test_stage_one_counts_as_the_binary_network_it_will_be(build, residual):
    stage_one, stage_two = deployment_plan(build["residual"](kernel_quantizer=None)), deployment_plan(residual)
    assert stage_one.file_bytes == stage_two.file_bytes and stage_one.binary_macs == stage_two.binary_macs
    assert any("stage 1 network" in warning for warning in stage_one.warnings)
    assert not any("stage 1 network" in warning for warning in stage_two.warnings)


@pytest.mark.parametrize(
    "layer, shape, words",
    [
        (dict(filters=16, kernel_size=3), (8, 8, 48), "not a multiple of 32"),
        (dict(filters=12, kernel_size=3), (8, 8, 32), "not a multiple of 8"),
        (dict(filters=16, kernel_size=1), (8, 8, 32), "multiple of 128"),
        (dict(filters=16, kernel_size=3, padding="same"), (8, 8, 128), "zero padding"),
        (dict(filters=16, kernel_size=1, input_quantizer=None), (8, 8, 32), "a float 1×1 convolution"),
    ],
)
def test_weaknesses_are_told_with_the_layer(layer, shape, words):
    model = small_network(quantized(**{**dict(kernel_quantizer="ste_sign", name="culprit"), **layer}), shape=shape)
    (warning,) = [warning for warning in deployment_plan(model).warnings if words in warning]
    assert warning.startswith("culprit: ")


def test_a_network_that_suits_the_engine_gets_no_notes():
    good = quantized(filters=64, kernel_size=3, padding="same", pad_values=1.0, kernel_quantizer="ste_sign")
    assert deployment_plan(small_network(good, shape=(8, 8, 128))).warnings == ()


def test_layers_that_the_engine_has_no_operator_for():
    depthwise = quantized(lq.layers.QuantDepthwiseConv2D, 3, depthwise_quantizer="ste_sign", name="depthwise")
    pixels = L.Input((8, 8, 32))
    dense = lq.layers.QuantDense(10, input_quantizer="ste_sign", kernel_quantizer="ste_sign", name="dense")
    model = tf.keras.Model(pixels, dense(L.GlobalAveragePooling2D()(depthwise(pixels))))
    plan = deployment_plan(model)
    assert plan.binary_macs == 0 and plan.float_macs == 6 * 6 * 9 * 32 + 32 * 10
    assert "no binary convolution" in plan.warnings[0]
    assert any(warning.startswith("depthwise, dense: quantized, but") for warning in plan.warnings)


def test_nested_models_are_planned_through(residual):
    pixels = L.Input((16, 16, 3))
    wrapped = deployment_plan(tf.keras.Model(pixels, residual(pixels)))
    assert wrapped.binary_macs == deployment_plan(residual).binary_macs
    assert wrapped.file_bytes == deployment_plan(residual).file_bytes


def test_rendering_is_compact_and_holds_the_totals(residual):
    text = deployment_plan(residual).render()
    assert len(text.splitlines()) < 25 and max(map(len, text.splitlines()[:-3])) < 110
    assert "2 × QuantConv2D 1×1" in text and "QuantConv2D 3×3 stride 2" in text
    assert "4 binary convolutions, 3.08 M binary and 221 k float multiply-accumulates" in text
