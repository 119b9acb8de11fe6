"""Networks for the tests: the smallest of each kind, with weights as irregular as trained ones."""

import functools

import numpy as np
import tensorflow as tf

from bssl_tf.models import BackboneSpec, build_backbone

SMALLEST = {
    "reactnet_small": 8,
    "reactnet_a": 32,
    "quicknet_small": 32,
    "quicknet": 32,
    "quicknet_large": 32,
    "binary_resnet_e18": 8,
    "resnet_small": 8,
    "resnet18": 8,
    "resnet34": 8,
    "resnet50": 8,
}


def spec_of(name, image_size=None, channels=3, mode="binary", **others):
    image_size = image_size or SMALLEST[name]
    mean, std = (120.0,) * channels, (60.0,) * channels
    return BackboneSpec(name, image_size, channels, mean, std, mode=mode, **others)


def pixels_for(spec, images=16, seed=0):
    shape = (images, spec.image_size, spec.image_size, spec.channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)


@functools.cache
def randomised(spec):
    """Zeros and ones of a fresh network (biases, batch norm statistics) hide mistakes: make them anything."""
    model = build_backbone(spec)
    rng = np.random.default_rng(1)
    for variable in model.variables:
        kind = variable.name.split("/")[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif kind in ("beta", "moving_mean", "bias", "alpha", "shift", "offset"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
        elif kind == "slope":
            variable.assign(rng.uniform(-0.2, 0.5, variable.shape))
    return model


def features_of(model, pixels):
    return model(tf.constant(pixels), training=False).numpy()
