import pytest
import tensorflow as tf

from bssl_tf.deploy import TfliteFileError, inspect_file
from bssl_tf.deploy.flatbuffer.edit import packed, unpacked
from bssl_tf.deploy.flatbuffer.inspect import BINARY_OUTPUT, BINARY_WEIGHTS, FLOAT_VECTORS, FLOAT_WEIGHTS, OTHER


def test_operators_of_the_residual_network(residual_file):
    operators = inspect_file(residual_file).operators
    assert operators.pop("ADD") == 1 + 6 + 4  # rescaling's offset, biases, shortcuts
    assert operators == {
        "LceQuantize": 4,
        "LceBconv2d": 4,
        "PRELU": 2,
        "CAST": 1,
        "MUL": 1,
        "CONV_2D": 1,
        "AVERAGE_POOL_2D": 1,
        "CONCATENATION": 1,
        "MEAN": 1,
    }


def test_bytes_of_the_residual_network(residual_file):
    report = inspect_file(residual_file)
    constants = report.constant_bytes
    assert constants[BINARY_WEIGHTS] == 2 * 32 * 32 * 9 // 8 + 2 * 32 * 32 // 8
    assert constants[BINARY_OUTPUT] == 4 * 32 * 2 * 4
    assert constants[FLOAT_WEIGHTS] == 3 * 3 * 3 * 32 * 4
    # the stem's folded batch norm, six biases, two PReLUs, rescaling's two numbers
    assert constants[FLOAT_VECTORS] == 32 * 4 + 6 * 32 * 4 + 2 * 32 * 4 + 2 * 4
    assert constants[OTHER] < 100
    assert report.structure_bytes == len(residual_file) - sum(constants.values()) - report.name_bytes > 0


def test_every_byte_is_accounted_for(residual_file):
    """Structure is what a file without names and constants takes, to 2 % of the file."""
    report, model = inspect_file(residual_file), unpacked(residual_file)
    for buffer in model.buffers:
        buffer.data = None
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b""
    assert report.name_bytes > 0
    assert abs(len(packed(model)) - report.structure_bytes) < 0.02 * len(residual_file)


def test_signature(residual_file, plain_file):
    report = inspect_file(residual_file)
    (pixels,), (features,) = report.inputs, report.outputs
    assert (pixels.name, pixels.shape, pixels.dtype) == ("pixels", (1, 16, 16, 3), "uint8")
    assert (features.name, features.shape, features.dtype) == ("features", (1, 64), "float32")
    assert pixels.scale is None and str(pixels) == "pixels: uint8 1×16×16×3"
    assert inspect_file(plain_file).inputs[0].dtype == "float32"


def test_quantisation_of_an_int8_file_is_read():
    pixels = tf.keras.Input((4, 4, 1), batch_size=1)
    model = tf.keras.Model(pixels, tf.keras.layers.Conv2D(2, 3)(pixels))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([tf.fill((1, 4, 4, 1), value)] for value in (0.0, 255.0))
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (tensor,) = inspect_file(converter.convert()).inputs
    assert tensor.dtype == "int8" and tensor.scale == pytest.approx(1.0) and tensor.zero_point == -128


@pytest.mark.parametrize("keep", [0, 7, 1000, -40])
def test_a_file_cut_short_is_found(residual_file, keep):
    with pytest.raises(TfliteFileError):
        inspect_file(residual_file[:keep])


def test_another_kind_of_file_is_found():
    with pytest.raises(TfliteFileError, match="TFL3"):
        inspect_file(b"\x89PNG\r\n\x1a\n" * 50)
