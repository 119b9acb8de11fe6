"""bssl_tf: binary neural networks that learn from unlabelled images, ready for Larq Compute Engine.

The method is BSSL / BURN (https://arxiv.org/abs/2110.08851). The three commands are three calls:

    import bssl_tf

    bssl_tf.train(bssl_tf.Config(run=bssl_tf.RunSettings(workdir="runs/digits")))
    bssl_tf.export("runs/digits", "digits.tflite")
    bssl_tf.evaluate("runs/digits", models=["digits.tflite"]).rows

Larq needs legacy Keras (Keras 2, the package ``tf-keras``), so importing ``bssl_tf`` switches it on. Import ``bssl_tf``
before TensorFlow, or set the environment variable ``TF_USE_LEGACY_KERAS=1``. TensorFlow itself is imported when a name
that needs it is first used.
"""

from typing import TYPE_CHECKING

from bssl_tf._lazy import lazy_names
from bssl_tf._legacy_keras import switch_on_legacy_keras

if TYPE_CHECKING:
    from bssl_tf.config.evaluation import EvaluationSettings
    from bssl_tf.config.export import ExportSettings
    from bssl_tf.config.training import (
        BsslSettings,
        ComputeSettings,
        Config,
        DataSettings,
        DistributionSettings,
        FeatureCacheSettings,
        MethodSettings,
        OptimizerSettings,
        PretrainingSettings,
        RunSettings,
        StudentSettings,
        TeacherSettings,
        ViewSettings,
    )
    from bssl_tf.deploy.convert import convert_backbone
    from bssl_tf.deploy.export import Export, export
    from bssl_tf.deploy.interpreter import TfliteBackbone
    from bssl_tf.errors import ConfigError, UserError
    from bssl_tf.evaluation.runner import EvaluationResult, evaluate
    from bssl_tf.losses import cross_entropy, feature_similarity, info_nce, kl_divergence, nt_xent, sinkhorn
    from bssl_tf.methods.bssl import Bssl
    from bssl_tf.models.backbone import build_backbone, load_backbone, save_backbone
    from bssl_tf.models.spec import BackboneSpec
    from bssl_tf.models.teacher import load_teacher
    from bssl_tf.training.run import train

__version__ = "0.1.0"

_MODULES = {
    "bssl_tf.config.evaluation": ("EvaluationSettings",),
    "bssl_tf.config.export": ("ExportSettings",),
    "bssl_tf.config.training": (
        "BsslSettings",
        "ComputeSettings",
        "Config",
        "DataSettings",
        "DistributionSettings",
        "FeatureCacheSettings",
        "MethodSettings",
        "OptimizerSettings",
        "PretrainingSettings",
        "RunSettings",
        "StudentSettings",
        "TeacherSettings",
        "ViewSettings",
    ),
    "bssl_tf.deploy.convert": ("convert_backbone",),
    "bssl_tf.deploy.export": ("Export", "export"),
    "bssl_tf.deploy.interpreter": ("TfliteBackbone",),
    "bssl_tf.errors": ("ConfigError", "UserError"),
    "bssl_tf.evaluation.runner": ("EvaluationResult", "evaluate"),
    "bssl_tf.losses": ("cross_entropy", "feature_similarity", "info_nce", "kl_divergence", "nt_xent", "sinkhorn"),
    "bssl_tf.methods.bssl": ("Bssl",),
    "bssl_tf.models.backbone": ("build_backbone", "load_backbone", "save_backbone"),
    "bssl_tf.models.spec": ("BackboneSpec",),
    "bssl_tf.models.teacher": ("load_teacher",),
    "bssl_tf.training.run": ("train",),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
__all__ = sorted(["__version__", *(name for names in _MODULES.values() for name in names)])

switch_on_legacy_keras()
