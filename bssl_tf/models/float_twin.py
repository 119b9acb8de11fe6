"""The float twin: the same layers without quantizers, to measure what being binary brings."""

import dataclasses

import tensorflow as tf

from bssl_tf.models.backbone import build_backbone
from bssl_tf.models.choices import BINARY, FLOAT
from bssl_tf.models.quantization import Binarisation
from bssl_tf.models.spec import BackboneSpec
from bssl_tf.models.zoo import ZOO, rebuild


def build_float_twin(spec: BackboneSpec) -> tf.keras.Model:
    """A freshly initialised network like that of `spec`, with float activations and kernels.

    Networks of Larq Zoo have no float mode, the sign being their non-linearity, but a twin that does the same
    arithmetic can be had; it is for timing, not for training.
    """
    if spec.name in ZOO:
        return rebuild(build_backbone(dataclasses.replace(spec, mode=BINARY)), Binarisation(FLOAT))
    return build_backbone(dataclasses.replace(spec, mode=FLOAT))
