"""Binary networks of Larq Zoo: QuickNet (https://arxiv.org/abs/2011.09398) and BinaryResNetE18
(https://arxiv.org/abs/1906.08637), without their classifiers and without downloaded weights.
"""

import warnings
from typing import Any

import larq as lq
import larq_zoo.literature
import larq_zoo.sota
import tensorflow as tf
from larq_zoo.sota.quicknet import blurpool_initializer

from bssl_tf.models.layers import QuantConv2D
from bssl_tf.models.normalisation import batch_norm
from bssl_tf.models.quantization import Binarisation

ZOO = {
    "quicknet_small": larq_zoo.sota.QuickNetSmall,
    "quicknet": larq_zoo.sota.QuickNet,
    "quicknet_large": larq_zoo.sota.QuickNetLarge,
    "binary_resnet_e18": larq_zoo.literature.BinaryResNetE18,
}
ZOO_CLIP = 1.25
"""Clip value of Larq Zoo's `SteSign` and `WeightClip`."""

_LARGE_STEM_FROM = 50  # pixels from which BinaryResNetE18 has a 7×7 stem with max pool


@tf.keras.utils.register_keras_serializable(package="bssl_tf")
class BlurInitializer(tf.keras.initializers.Initializer):
    """QuickNet's fixed blur as an object. The zoo has a function, and Keras warns whenever it saves that."""

    def __call__(self, shape: tf.TensorShape, dtype: tf.DType | None = None, **kwargs: Any) -> tf.Tensor:
        return blurpool_initializer(shape, dtype)


def zoo_feature_map(x: tf.Tensor, name: str) -> tf.Tensor:
    """Apply a network of Larq Zoo.

    Its layers stay as the zoo made them, and each belongs to two graphs, the zoo's own and that of `x`. Pass
    the finished model through `rebuild` to end both.

    Args:
        x: normalised images (None, S, S, C).
        name: a key of `ZOO`.

    Returns:
        Feature map (None, H, W, 512), after a ReLU as where the zoo's classifier starts.
    """
    size = 64 if x.shape[1] >= _LARGE_STEM_FROM else 32
    model = ZOO[name](input_shape=(size, size, x.shape[-1]), include_top=False, weights=None)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.AveragePooling2D):
            layer.padding = "same"  # as the convolution beside it, so that odd feature maps fit too
    return tf.keras.layers.ReLU()(model.call(x))


def rebuild(model: tf.keras.Model, binarisation: Binarisation) -> tf.keras.Model:
    """Make `model` anew, with freshly initialised layers and other quantizers in its binary convolutions.

    One deviation from the zoo: BinaryResNetE18's binary convolutions are padded with +1, not 0 (see
    `Binarisation.options`).
    """

    def rebuild_layer(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, lq.layers.QuantConv2D) and layer.input_quantizer is not None:
            return QuantConv2D.from_config({**config, **binarisation.options()})
        if type(layer) is tf.keras.layers.DepthwiseConv2D:
            config["depthwise_initializer"] = BlurInitializer()
        elif isinstance(layer, tf.keras.layers.BatchNormalization):
            return batch_norm(**config)
        return layer.from_config(config)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*initializers.serialize.*")  # see BlurInitializer
        return tf.keras.models.clone_model(model, clone_function=rebuild_layer)
