import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import TfliteBackbone, TfliteFileError, convert_backbone
from bssl_tf.deploy.interpreter import TfliteClassifier, TfliteNetwork
from bssl_tf.errors import UserError


def test_path_and_bytes_give_the_same_features(tmp_path, residual_file, images):
    path = tmp_path / "model.tflite"
    path.write_bytes(residual_file)
    from_path = TfliteBackbone(path).features(images[:3])
    assert from_path.shape == (3, 64) and from_path.dtype == np.float32
    assert np.array_equal(from_path, TfliteBackbone(residual_file, num_threads=1).features(images[:3]))


def test_another_image_size_names_the_flags(residual_file, grey_images):
    with pytest.raises(ValueError, match=r"--image_size=16 --channels=3"):
        TfliteBackbone(residual_file).features(grey_images)


def test_a_damaged_file_is_refused_before_the_interpreter_sees_it(tmp_path, residual_file):
    path = tmp_path / "cut.tflite"
    path.write_bytes(residual_file[: len(residual_file) // 2])
    with pytest.raises(TfliteFileError, match="cut.tflite.*cut short or damaged"):
        TfliteBackbone(path)


def test_a_file_that_is_no_backbone_is_refused():
    pixels = tf.keras.Input((4, 4, 1), batch_size=1)
    model = tf.keras.Model(pixels, tf.keras.layers.Conv2D(2, 3)(pixels))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    with pytest.raises(TfliteFileError, match="one feature vector"):
        TfliteBackbone(content)
    _, (outputs,) = TfliteNetwork(content).run(np.zeros((1, 4, 4, 1), np.float32))  # it can be timed
    assert outputs.shape == (1, 2 * 2 * 2)


def test_a_classifier_gives_scores_and_no_features(residual, images):
    content = convert_backbone(residual, output="logits")
    with pytest.raises(UserError, match="is a classifier: it gives logits.* --workdir=… writes it"):
        TfliteBackbone(content).features(images[:2])
    scores = TfliteClassifier(content).features(images[:2])
    assert np.array_equal(scores, TfliteBackbone(content).outputs(images[:2], ("logits",))[0])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.tflite"):
        TfliteBackbone(tmp_path / "nowhere.tflite")


def test_images_are_run_in_any_number_and_order(residual_file, images):
    backbone = TfliteBackbone(residual_file)
    many = np.concatenate([images] * 5)  # 160: sent in parts
    expected = np.concatenate([backbone.run(image[None])[1][0] for image in images])
    assert np.array_equal(backbone.features(many), np.concatenate([expected] * 5))
    assert len(np.unique(expected, axis=0)) == len(images)
