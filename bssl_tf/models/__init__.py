"""Networks: binary students, float teachers, and the heads on top of them."""

from bssl_tf.models.float_twin import float_twin
from bssl_tf.models.heads import HeadLayer, build_head, load_head, mlp_head, save_head
from bssl_tf.models.layers import LearnableBias
from bssl_tf.models.multi_size import at_size
from bssl_tf.models.normalisation import PixelNormalisation
from bssl_tf.models.quantization import BINARY, BINARY_ACTIVATIONS, FLOAT, MODES
from bssl_tf.models.spec import BackboneSpec, build_backbone, load_backbone, save_backbone
from bssl_tf.models.teacher import fingerprint, load_teacher

__all__ = [
    "BINARY",
    "BINARY_ACTIVATIONS",
    "FLOAT",
    "MODES",
    "BackboneSpec",
    "HeadLayer",
    "LearnableBias",
    "PixelNormalisation",
    "at_size",
    "build_backbone",
    "build_head",
    "fingerprint",
    "float_twin",
    "load_backbone",
    "load_head",
    "load_teacher",
    "mlp_head",
    "save_backbone",
    "save_head",
]
