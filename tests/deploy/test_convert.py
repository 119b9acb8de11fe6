import os

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import ConversionError, TfliteBackbone, convert_backbone


def test_a_uint8_file_takes_the_bytes_of_a_picture(residual, residual_file, images):
    backbone = TfliteBackbone(residual_file)
    assert backbone.report.inputs[0].dtype == "uint8"
    agree = np.isclose(backbone.features(images), residual(images.astype(np.float32)), rtol=1e-4, atol=1e-4)
    assert agree.all(axis=1).mean() > 0.8


def test_a_float32_file_takes_the_same_pixels(plain, plain_file, grey_images):
    backbone = TfliteBackbone(plain_file)
    assert backbone.report.inputs[0].dtype == "float32"
    agree = np.isclose(backbone.features(grey_images), plain(grey_images.astype(np.float32)), rtol=1e-4, atol=1e-4)
    assert agree.all(axis=1).mean() > 0.8


def test_conversion_leaves_the_weights_alone_and_says_nothing(plain, capfd):
    before = [weights.copy() for weights in plain.get_weights()]
    convert_backbone(plain)
    assert all(np.array_equal(*pair) for pair in zip(before, plain.get_weights(), strict=True))
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_an_unknown_input_type_lists_those_there_are(plain):
    with pytest.raises(ValueError, match="--input_type='int8'.*uint8, float32"):
        convert_backbone(plain, input_type="int8")


def test_an_open_image_size_names_the_flag():
    pixels = tf.keras.Input((None, None, 3))
    model = tf.keras.Model(pixels, tf.keras.layers.GlobalAveragePooling2D()(pixels))
    with pytest.raises(ValueError, match="--image_size"):
        convert_backbone(model)


def test_mixed_precision_is_refused_with_the_layer_and_the_remedy():
    pixels = tf.keras.Input((8, 8, 3))
    x = tf.keras.layers.Conv2D(8, 3, dtype="mixed_float16", name="half")(pixels)
    inner = tf.keras.Model(pixels, x)
    outer = tf.keras.Input((8, 8, 3))
    model = tf.keras.Model(outer, tf.keras.layers.GlobalAveragePooling2D(dtype="float32")(inner(outer)))
    with pytest.raises(ValueError, match="'half' computes in float16.*float32"):
        convert_backbone(model)


def test_an_operator_that_the_engine_lacks_is_named():
    pixels = tf.keras.Input((8, 8, 3))
    x = tf.keras.layers.Lambda(lambda batch: tf.linalg.inv(batch[:, :3, :3, 0]))(pixels)
    with pytest.raises(ConversionError, match="no operator for MatrixInverse"):
        convert_backbone(tf.keras.Model(pixels, tf.keras.layers.Flatten()(x)))


def test_a_failure_of_the_converter_is_told_with_its_log(plain, monkeypatch):
    def fail(*arguments):
        os.write(2, b"log line of the converter\n")
        raise RuntimeError("out of luck")

    monkeypatch.setattr("bssl_tf.deploy.convert.convert_graphdef_to_tflite_flatbuffer", fail)
    with pytest.raises(ConversionError, match="(?s)'plain': out of luck.*log line of the converter"):
        convert_backbone(plain)
