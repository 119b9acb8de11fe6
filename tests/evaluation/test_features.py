import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.evaluation.features import extract_features


@pytest.fixture(scope="module")
def mean_colours():
    pixels = tf.keras.Input((4, 4, 3))
    x = tf.keras.layers.Dropout(0.5)(tf.keras.layers.GlobalAveragePooling2D()(pixels))
    return tf.keras.Model(pixels, x)


def coloured_images(count, seed):
    """One bright channel per class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    images = random.integers(0, 120, (count, 4, 4, 3))
    images[np.arange(count), :, :, labels] += 100
    return images.astype(np.uint8), labels


def test_features_of_keras_in_inference_mode_in_order(mean_colours):
    images, _ = coloured_images(50, 0)
    expected = images.mean(axis=(1, 2))
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(16)
    for batches in (dataset, [images[:30], images[30:]], (images[i : i + 7] for i in range(0, 50, 7))):
        features = extract_features(mean_colours, batches)
        assert features.dtype == np.float32 and np.allclose(features, expected, atol=1e-3)


class ByHand:
    def features(self, images):
        return images.mean(axis=(1, 2), dtype=np.float32)


def test_anything_with_features_can_be_evaluated(mean_colours):
    images, _ = coloured_images(20, 0)
    assert np.allclose(extract_features(ByHand(), [images]), extract_features(mean_colours, [images]), atol=1e-3)


def test_wrong_batches_are_refused(mean_colours):
    images, labels = coloured_images(8, 0)
    with pytest.raises(ValueError, match="without labels; received tuple"):
        extract_features(mean_colours, [(images, labels)])
    with pytest.raises(ValueError, match="float64"):
        extract_features(mean_colours, [images / 255])
    with pytest.raises(ValueError, match="--image_size"):
        extract_features(mean_colours, [images[:, :2]])
    with pytest.raises(ValueError, match="no images"):
        extract_features(mean_colours, [])


def test_broken_features_are_refused():
    pixels = tf.keras.Input((4, 4, 3))
    model = tf.keras.Model(pixels, tf.math.log(tf.reduce_mean(pixels, (1, 2)) - 1000.0))
    with pytest.raises(ValueError, match="8 of 8 images are NaN"):
        extract_features(model, [coloured_images(8, 0)[0]])
