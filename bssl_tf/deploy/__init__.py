"""From a trained backbone to a verified .tflite file for Larq Compute Engine.

`export.export` does all of it for a run or a fine-tuned classifier. In single steps:

    plan = deployment_plan(backbone)                        # before training: what it will be on the device
    content = convert_backbone(backbone)                    # after training
    parity = compare(backbone, content, images).check()     # both on the same real pixels
    facts, text = make_report("model.tflite", content, inspect_file(content), plan, parity, command)
"""

from typing import TYPE_CHECKING

from bssl_tf._lazy import lazy_names

if TYPE_CHECKING:
    from bssl_tf.deploy.analysis.lint import LintReport, lint
    from bssl_tf.deploy.analysis.plan import DeploymentPlan, deployment_plan
    from bssl_tf.deploy.convert import ConversionError, convert_backbone
    from bssl_tf.deploy.flatbuffer.inspect import FileReport, TfliteFileError, inspect_file
    from bssl_tf.deploy.interpreter import TfliteBackbone
    from bssl_tf.deploy.parity import Parity, ParityError, compare
    from bssl_tf.deploy.report import make_report

_MODULES = {
    "bssl_tf.deploy.analysis.lint": ("LintReport", "lint"),
    "bssl_tf.deploy.analysis.plan": ("DeploymentPlan", "deployment_plan"),
    "bssl_tf.deploy.convert": ("ConversionError", "convert_backbone"),
    "bssl_tf.deploy.flatbuffer.inspect": ("FileReport", "TfliteFileError", "inspect_file"),
    "bssl_tf.deploy.interpreter": ("TfliteBackbone",),
    "bssl_tf.deploy.parity": ("Parity", "ParityError", "compare"),
    "bssl_tf.deploy.report": ("make_report",),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
__all__ = sorted(name for names in _MODULES.values() for name in names)
