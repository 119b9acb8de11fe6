"""Networks: binary students, float teachers, and the heads on top of them."""

from typing import TYPE_CHECKING

from bssl_tf._lazy import lazy_names

if TYPE_CHECKING:
    from bssl_tf.models.backbone import build_backbone, load_backbone, save_backbone
    from bssl_tf.models.choices import BINARY, BINARY_ACTIVATIONS, FLOAT, MODES
    from bssl_tf.models.float_twin import build_float_twin
    from bssl_tf.models.heads import HeadLayer, build_head, load_head, mlp_head, save_head
    from bssl_tf.models.layers import LearnableBias
    from bssl_tf.models.multi_size import at_size
    from bssl_tf.models.normalisation import PixelNormalisation
    from bssl_tf.models.spec import BackboneSpec
    from bssl_tf.models.teacher import fingerprint, load_teacher

_MODULES = {
    "bssl_tf.models.backbone": ("build_backbone", "load_backbone", "save_backbone"),
    "bssl_tf.models.choices": ("BINARY", "BINARY_ACTIVATIONS", "FLOAT", "MODES"),
    "bssl_tf.models.float_twin": ("build_float_twin",),
    "bssl_tf.models.heads": ("HeadLayer", "build_head", "load_head", "mlp_head", "save_head"),
    "bssl_tf.models.layers": ("LearnableBias",),
    "bssl_tf.models.multi_size": ("at_size",),
    "bssl_tf.models.normalisation": ("PixelNormalisation",),
    "bssl_tf.models.spec": ("BackboneSpec",),
    "bssl_tf.models.teacher": ("fingerprint", "load_teacher"),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
__all__ = sorted(name for names in _MODULES.values() for name in names)
