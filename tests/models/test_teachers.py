import keras
import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.cli.import_teacher import PIXELS
from bssl_tf.config.training import TeacherSettings
from bssl_tf.errors import UserError
from bssl_tf.models import build_backbone, fingerprint, load_teacher, save_backbone
from bssl_tf.models.pixels import PIXEL_RANGES
from tests.models.networks import features_of, pixels_for, randomised, spec_of

SMALL = spec_of("resnet_small", mode="float", width=8)


def keras_model(size=8, channels=3):
    images = tf.keras.Input((size, size, channels))
    x = tf.keras.layers.Conv2D(4, 3)(images)
    x = tf.keras.layers.Dropout(0.5)(tf.keras.layers.BatchNormalization()(x))
    return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(x), name="mine")


@pytest.mark.parametrize(
    ("name", "millions", "features"),
    [("resnet18", 11.176512, 512), ("resnet34", 21.284672, 512), ("resnet50", 23.508032, 2048)],
)
def test_resnets_are_those_of_pytorch(name, millions, features):
    model = build_backbone(spec_of(name, 224, mode="float"))
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == millions * 1e6
    assert model.output_shape == (None, features)


def test_resnet50_has_the_stride_on_the_3x3_convolution_and_pads_evenly():
    model = build_backbone(spec_of("resnet50", 224, mode="float"))
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    strided = [layer for layer in convolutions if layer.strides == (2, 2)]
    assert sorted(layer.kernel_size for layer in strided) == [(1, 1)] * 3 + [(3, 3)] * 3 + [(7, 7)]
    assert all(layer.padding == "valid" for layer in strided if layer.kernel_size != (1, 1))
    sides = {layer.output_shape[1] for layer in model.layers if type(layer).__name__ == "Add"}
    assert sides == {56, 28, 14, 7}


@pytest.mark.parametrize("name", ["resnet_small", "resnet18", "resnet50"])
def test_small_images_keep_their_size_in_the_stem(name):
    model = build_backbone(spec_of(name, 32, channels=1, mode="float"))
    first = next(layer for layer in model.layers if type(layer).__name__ == "Conv2D")
    assert first.output_shape[1:3] == (32, 32)
    assert not any(type(layer).__name__ == "MaxPooling2D" for layer in model.layers)


def test_finds_a_backbone_in_a_workdir_and_freezes_it(tmp_path):
    model = randomised(SMALL)
    save_backbone(model, SMALL, tmp_path / "teacher")
    for path in (tmp_path, tmp_path / "teacher"):
        teacher, description = load_teacher(path, image_size=8, channels=3)
        pixels = pixels_for(SMALL)
        np.testing.assert_array_equal(features_of(teacher, pixels), features_of(model, pixels))
        assert fingerprint(teacher) == fingerprint(model) and fingerprint(model) in description
        assert "resnet_small" in description
        assert teacher.trainable_weights == []
        teacher(pixels, training=True)  # frozen batch norm keeps its statistics
        assert fingerprint(teacher) == fingerprint(model)


@pytest.mark.parametrize("file", ["model.keras", "model.h5", "saved_model"])
@pytest.mark.parametrize("pixels", ["0..1", "imagenet"])
def test_takes_any_saved_keras_model(tmp_path, file, pixels):
    model = keras_model(size=None)
    model.save(tmp_path / file)
    trusted = file == "saved_model"  # which is a program
    teacher, description = load_teacher(tmp_path / file, image_size=8, channels=3, pixels=pixels, trusted=trusted)
    images = pixels_for(SMALL)
    scaled = images / 255
    if pixels == "imagenet":
        scaled = (scaled - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = features_of(model, scaled.astype(np.float32))
    np.testing.assert_allclose(features_of(teacher, images), expected, rtol=1e-4, atol=1e-5)
    training = teacher(images, training=True)  # neither dropout nor batch statistics
    np.testing.assert_allclose(training, expected, rtol=1e-4, atol=1e-5)
    assert teacher.trainable_weights == [] and teacher.input_shape == (None, 8, 8, 3)
    assert "mine" in description


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_file_of_keras_3_is_named_as_such_with_what_to_do(tmp_path, ending, trusted):
    layers = keras.layers
    saved = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()])
    saved.save(tmp_path / f"new.{ending}")
    with pytest.raises(UserError, match=f"was saved by Keras {keras.__version__}.* in tf_keras, .*set_weights"):
        load_teacher(tmp_path / f"new.{ending}", image_size=8, channels=1, trusted=trusted)

    again = tf.keras.Sequential([tf.keras.Input((8, 8, 1)), tf.keras.layers.Conv2D(4, 3)])
    again.add(tf.keras.layers.GlobalAveragePooling2D())
    again.set_weights(saved.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(again(images), saved(images), rtol=1e-5, atol=1e-6)


def test_minus_one_to_one(tmp_path):
    model = keras_model()
    model.save(tmp_path / "model.keras")
    teacher, _ = load_teacher(tmp_path / "model.keras", image_size=8, channels=3, pixels="-1..1")
    images = pixels_for(SMALL)
    np.testing.assert_allclose(
        features_of(teacher, images), features_of(model, images / 127.5 - 1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(image_size=16), ["8×8", "--image_size=16", "--image_size=8"]),
        (dict(pixels="0..7"), ["--teacher_pixels=0..7", "imagenet"]),
    ],
)
def test_a_teacher_that_does_not_fit(tmp_path, options, words):
    keras_model().save(tmp_path / "model.keras")
    with pytest.raises(ValueError) as error:
        load_teacher(tmp_path / "model.keras", **{"image_size": 8, "channels": 3, **options})
    for word in words:
        assert word in str(error.value)


def test_a_grey_teacher_takes_neither_colour_nor_a_range_for_rgb(tmp_path):
    keras_model(channels=1).save(tmp_path / "grey.keras")
    with pytest.raises(ValueError, match="takes 1 channel.*--channels=3"):
        load_teacher(tmp_path / "grey.keras", image_size=8, channels=3)
    with pytest.raises(ValueError, match="--teacher_pixels=imagenet is for RGB"):
        load_teacher(tmp_path / "grey.keras", image_size=8, channels=1, pixels="imagenet")


@pytest.mark.parametrize("kind", ["own", "keras"])
def test_grey_images_for_a_teacher_of_rgb(tmp_path, kind):
    path = tmp_path if kind == "own" else tmp_path / "model.keras"
    if kind == "own":
        save_backbone(randomised(SMALL), SMALL, path)
    else:
        keras_model().save(path)
    pixels = {"own": "0..255", "keras": "imagenet"}[kind]
    grey, description = load_teacher(path, image_size=8, channels=1, pixels=pixels)
    rgb, plain = load_teacher(path, image_size=8, channels=3, pixels=pixels)
    images = pixels_for(SMALL)[..., :1]
    np.testing.assert_array_equal(features_of(grey, images), features_of(rgb, np.repeat(images, 3, axis=-1)))
    assert "channel three times" in description and "channel three times" not in plain
    assert grey.trainable_weights == [] and fingerprint(grey) == fingerprint(rgb)


def test_pixels_as_keras_applications_prepares_them(tmp_path):
    model = keras_model()
    model.save(tmp_path / "model.keras")
    teacher, _ = load_teacher(tmp_path / "model.keras", image_size=8, channels=3, pixels="caffe")
    images = pixels_for(SMALL)
    prepared = tf.keras.applications.resnet50.preprocess_input(images.copy())
    np.testing.assert_allclose(features_of(teacher, images), features_of(model, prepared), rtol=1e-4, atol=1e-3)


def test_resnet50_of_keras_applications(tmp_path):
    model = tf.keras.applications.ResNet50(include_top=False, pooling="avg", weights=None)
    model.save(tmp_path / "resnet50.h5")
    teacher, description = load_teacher(tmp_path / "resnet50.h5", image_size=40, channels=3, pixels="caffe")
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3)).astype(np.float32)
    expected = features_of(model, tf.keras.applications.resnet50.preprocess_input(images.copy()))
    np.testing.assert_allclose(features_of(teacher, images), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert teacher.output_shape == (None, 2048) and "resnet50" in description


def test_flags_and_table_name_the_same_pixel_ranges():
    choices = TeacherSettings.__dataclass_fields__["teacher_pixels"].metadata["choices"]
    assert set(choices) == set(PIXEL_RANGES)
    assert set(PIXELS) - {"auto"} == {name for name, pixels in PIXEL_RANGES.items() if not pixels.blue_first}


def test_a_resnet_of_ours_sees_images_of_any_size_that_go_through_the_same_layers(tmp_path):
    spec = spec_of("resnet18", 64, mode="float")
    save_backbone(randomised(spec), spec, tmp_path)
    teacher, description = load_teacher(tmp_path, image_size=70, channels=3)
    assert teacher.input_shape == (None, 70, 70, 3) and "70×70×3" in description
    assert fingerprint(teacher) == fingerprint(randomised(spec))
    with pytest.raises(ValueError, match="--image_size=63"):
        load_teacher(tmp_path, image_size=63, channels=3)  # would have the small stem


def test_own_backbones_of_another_size_or_pixel_range(tmp_path):
    save_backbone(randomised(SMALL), SMALL, tmp_path)
    with pytest.raises(ValueError, match="--image_size=32"):
        load_teacher(tmp_path, image_size=32, channels=3)
    with pytest.raises(ValueError, match="--teacher_pixels=imagenet"):
        load_teacher(tmp_path, image_size=8, channels=3, pixels="imagenet")


def test_what_is_no_teacher(tmp_path):
    with pytest.raises(FileNotFoundError, match="--teacher="):
        load_teacher(tmp_path / "nothing", image_size=8, channels=3)
    with pytest.raises(ValueError, match="neither a backbone.json nor"):
        load_teacher(tmp_path, image_size=8, channels=3)
    images = tf.keras.Input((8, 8, 3))
    tf.keras.Model(images, tf.keras.layers.Conv2D(4, 3)(images)).save(tmp_path / "map.keras")
    with pytest.raises(ValueError, match="one feature vector"):
        load_teacher(tmp_path / "map.keras", image_size=8, channels=3)
    vector = tf.keras.Input((5,))
    tf.keras.Model(vector, tf.keras.layers.Dense(4)(vector)).save(tmp_path / "dense.keras")
    with pytest.raises(ValueError, match="must take images"):
        load_teacher(tmp_path / "dense.keras", image_size=8, channels=3)


def test_fingerprints_tell_weights_apart():
    model = build_backbone(SMALL)
    before = fingerprint(model)
    assert fingerprint(model) == before and len(before) == 16
    model.trainable_weights[-1].assign_add(tf.ones_like(model.trainable_weights[-1]) * 1e-6)
    assert fingerprint(model) != before
