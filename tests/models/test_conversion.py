"""Students run in Larq Compute Engine as they do in TensorFlow.

QuickNet and QuickNetLarge are QuickNetSmall with other numbers of blocks and channels, and ReActNet-A has the
blocks of reactnet_small: these slow ones are left to deployment, which checks every file it converts.
"""

import larq_compute_engine as lce
import numpy as np
import pytest
import tensorflow as tf
from larq_compute_engine.tflite.python.interpreter import Interpreter
from networks import features_of, pixels_for, randomised, spec_of
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from bssl_tf.models import build_backbone


def convert(model, folder):
    """Convert with weights frozen into the graph, which takes half the time of `lce.convert_keras_model`."""
    signature = [tf.TensorSpec((1, *model.input_shape[1:]))]
    graph = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    frozen = convert_variables_to_constants_v2(graph.get_concrete_function())
    without_gradients = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), folder, signatures=frozen, options=without_gradients)
    return lce.convert_saved_model(folder)


def relative_deviations(spec, file):
    """Largest deviation of each image's features, relative to the features' spread."""
    pixels = pixels_for(spec)
    expected = features_of(randomised(spec), pixels)
    return np.abs(Interpreter(file, num_threads=2).predict(pixels) - expected).max(axis=1) / expected.std()


@pytest.mark.parametrize(
    "spec",
    [
        spec_of("reactnet_small", 28, channels=1, stages=3),  # 28 → 14 → 7 → 4: an odd side
        spec_of("quicknet_small"),
        spec_of("binary_resnet_e18", 12),  # 12 → 6 → 3 → 2
    ],
    ids=lambda spec: spec.name,
)
def test_interpreter_gives_the_features_of_tensorflow(spec, tmp_path):
    deviations = relative_deviations(spec, convert(randomised(spec), str(tmp_path)))
    # A sum that TensorFlow rounds to just above zero and LCE to just below flips one sign and moves all that
    # follows.
    # It strikes single images; a wrong operator strikes all.
    assert np.median(deviations) < 1e-4
    assert np.mean(deviations < 1e-4) >= 0.6


def test_larq_converts_the_keras_model_itself():
    spec = spec_of("reactnet_small", channels=1, stages=1, dense=8, quantizer="magnitude_aware_sign")
    deviations = relative_deviations(spec, lce.convert_keras_model(randomised(spec)))
    assert np.median(deviations) < 1e-4


def test_binary_kernels_take_a_bit_each(tmp_path):
    spec = spec_of("reactnet_small", channels=1, stages=2)
    model = build_backbone(spec)
    bits = sum(np.prod(layer.kernel.shape) for layer in model.layers if hasattr(layer, "pad_values"))
    others = model.count_params() - bits
    file = convert(model, str(tmp_path))
    assert bits / 8 < len(file) < bits / 8 + 4 * others + 20_000
    assert len(file) < bits / 2
