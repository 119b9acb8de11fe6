"""Binary codes: a feature vector in one bit a number, for search by Hamming distance.

Bit i is 1 where feature i is at least its mean over the training images (the centre). About half of the bits of a
code are 1 then, and each halves the images, as it must to separate many. Eight bits share a byte, the lowest first:
what `faiss.IndexBinaryFlat` takes, and ``Integer.bitCount(a xor b)`` compares on a phone. Behind the last feature the
bits are 0.
"""

import numpy as np
import tensorflow as tf

from bssl_tf.data import Source, evaluation_images, readable_data_errors
from bssl_tf.deploy.interpreter import TfliteBackbone
from bssl_tf.errors import UserError
from bssl_tf.models import BackboneSpec

_BITS = 8
_CENTRE_IMAGES = 10_000


class CodesError(UserError):
    """The codes of a file are not the signs of its features."""


def binary_codes(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(n, D) features and (D,) centre → (n, ⌈D/8⌉) uint8."""
    return np.packbits(features >= centre, axis=1, bitorder="little")


def codes_in_graph(features: tf.Tensor, centre: np.ndarray) -> tf.Tensor:
    """`binary_codes` of one feature vector (1, D), from operators that TensorFlow Lite has."""
    bits = tf.cast(features >= tf.constant(centre, tf.float32), tf.float32)
    count = -(-len(centre) // _BITS)
    bits = tf.reshape(tf.pad(bits, [[0, 0], [0, count * _BITS - len(centre)]]), (1, count, _BITS))
    return tf.cast(tf.reduce_sum(bits * tf.constant(2.0 ** np.arange(_BITS), tf.float32), axis=-1), tf.uint8)


def feature_centre(backbone: tf.keras.Model, images: tf.data.Dataset) -> np.ndarray:
    """Mean feature (D,) float32 over batches of uint8 images."""
    total, count = np.zeros(()), 0
    for batch in images.as_numpy_iterator():
        features = backbone(batch.astype(np.float32), training=False).numpy()
        total, count = total + features.sum(axis=0, dtype=np.float64), count + len(features)
    return (total / count).astype(np.float32)


def code_centre(backbone: tf.keras.Model, spec: BackboneSpec, train: Source) -> np.ndarray:
    """`feature_centre` over at most 10 000 training images, taken evenly."""
    every = -(-train.num_examples // _CENTRE_IMAGES)
    images = evaluation_images(train, image_size=spec.image_size, channels=spec.channels, every=every)
    with readable_data_errors():
        return feature_centre(backbone, images)


def check_codes(content: bytes, centre: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Compare the codes of a file that gives features too with the signs of these features.

    Returns:
        Share of ones of each bit, (D,).

    Raises:
        CodesError: they differ.
    """
    features, codes = TfliteBackbone(content).outputs(images, ("features", "codes"))
    wrong = int((codes != binary_codes(features, centre)).any(axis=1).sum())
    if wrong:
        raise CodesError(f"The file's codes are not the signs of its features for {wrong} of {len(images)} images.")
    return (features >= centre).mean(axis=0)


def balance_of_codes(ones: np.ndarray) -> str:
    """A sentence on the share of ones of each bit, (D,)."""
    low, middle, high = np.percentile(ones, [5, 50, 95])
    return (
        f"codes: the signs of all features, {len(ones)} bits; a bit is 1 for {middle:.0%} of the images (median), for "
        f"{low:.0%} to {high:.0%} with nine bits of ten"
    )
