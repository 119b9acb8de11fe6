"""Operators of the unfolded network, counted without converting it, are those that the converter leaves."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy import convert_backbone, inspect_file
from bssl_tf.deploy.folding import fold, operators_unfolded
from bssl_tf.models import build_backbone
from bssl_tf.models.layers import LearnableBias
from tests.deploy.test_folding import small
from tests.models.networks import randomised, spec_of

L = tf.keras.layers
VARIANTS = [
    dict(name="reactnet_small", image_size=16, stages=2, width=16),
    dict(name="reactnet_small", image_size=14, channels=1, depth=2, stages=1, width=16, dense=8),  # one channel
    dict(name="reactnet_small", stages=1, width=16, quantizer="magnitude_aware_sign"),
    dict(name="reactnet_small", stages=1, width=16, mode="binary_activations"),
    dict(name="reactnet_small", stages=1, width=16, mode="float"),
]


def both(model, **options):
    """(as counted, as converted)."""
    folded = fold(model)
    operators = inspect_file(convert_backbone(model, folded=folded, **options)).operators
    converted = inspect_file(convert_backbone(model, folded=False, **options)).operators
    return operators_unfolded(folded, operators), converted


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
def test_the_converter_leaves_as_many(variant):
    counted, converted = both(randomised(spec_of(**variant)))
    assert counted == converted


def test_constants_that_do_nothing_do_not_count():
    counted, converted = both(build_backbone(spec_of("reactnet_small", stages=1, width=16)))
    assert counted == converted


def test_codes_have_operators_of_their_own():
    model = randomised(spec_of("reactnet_small", stages=1, width=16))
    counted, converted = both(model, code_centre=np.linspace(-1, 1, model.output_shape[-1], dtype=np.float32))
    assert counted == converted


def test_a_batch_norm_behind_a_max_pool():
    layers = L.Conv2D(4, 3, padding="same"), L.ReLU(), L.MaxPooling2D(2), L.BatchNormalization(), L.ReLU()
    counted, converted = both(small(*layers, L.GlobalAveragePooling2D(), shape=(8, 8, 3))[0])
    assert counted == converted and {"MUL", "ADD"} <= counted.keys()


def test_what_only_the_converter_knows_is_left_to_it():
    for layers in ((L.Lambda(tf.nn.softplus),), (L.ReLU(), LearnableBias(), LearnableBias())):
        model, _ = small(*layers)
        assert operators_unfolded(fold(model), {"ADD": 1}) is None
