"""Students with weights as irregular as trained ones run in Larq Compute Engine as they do in TensorFlow.

That every student converts after training is tested in test_students.py.
"""

import larq_compute_engine as lce
import numpy as np
from larq_compute_engine.tflite.python.interpreter import Interpreter

from bssl_tf.deploy import convert_backbone
from bssl_tf.models import build_backbone
from tests.models.networks import features_of, pixels_for, randomised, spec_of


def relative_deviations(spec, file):
    """Largest deviation of each image's features, relative to the features' spread."""
    pixels = pixels_for(spec)
    expected = features_of(randomised(spec), pixels)
    return np.abs(Interpreter(file, num_threads=2).predict(pixels) - expected).max(axis=1) / expected.std()


def test_interpreter_gives_the_features_of_tensorflow_at_odd_sizes():
    spec = spec_of("reactnet_small", 28, channels=1, stages=3)  # 28 → 14 → 7 → 4
    deviations = relative_deviations(spec, convert_backbone(randomised(spec), input_type="float32"))
    # A sum that TensorFlow rounds to just above zero and LCE to just below flips one sign and moves all that
    # follows: it strikes single images, a wrong operator strikes all.
    assert np.median(deviations) < 1e-4
    assert np.mean(deviations < 1e-4) >= 0.6


def test_larq_converts_the_keras_model_itself():
    spec = spec_of("reactnet_small", channels=1, stages=1, dense=8, quantizer="magnitude_aware_sign")
    deviations = relative_deviations(spec, lce.convert_keras_model(randomised(spec)))
    assert np.median(deviations) < 1e-4


def test_binary_kernels_take_a_bit_each():
    spec = spec_of("reactnet_small", channels=1, stages=2)
    model = build_backbone(spec)
    bits = sum(np.prod(layer.kernel.shape) for layer in model.layers if hasattr(layer, "pad_values"))
    others = model.count_params() - bits
    file = convert_backbone(model)
    assert bits / 8 < len(file) < bits / 8 + 4 * others + 20_000
    assert len(file) < bits / 2
