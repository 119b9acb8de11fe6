"""From a trained backbone to a verified .tflite file for Larq Compute Engine.

plan = deployment_plan(backbone)                        # before training: what it will be on the device
content = convert_backbone(backbone)                    # after training
parity = compare(backbone, content, images).check()     # both on the same real pixels
write_report(path, inspect_file(content), plan, parity, command)
"""

from bssl_tf.deploy.analysis.lint import LintReport, lint
from bssl_tf.deploy.analysis.plan import DeploymentPlan, deployment_plan
from bssl_tf.deploy.convert import ConversionError, convert_backbone
from bssl_tf.deploy.flatbuffer.inspect import FileReport, TfliteFileError, inspect_file
from bssl_tf.deploy.interpreter import TfliteBackbone
from bssl_tf.deploy.parity import Parity, ParityError, compare
from bssl_tf.deploy.report import write_report

__all__ = [
    "ConversionError",
    "DeploymentPlan",
    "FileReport",
    "LintReport",
    "Parity",
    "ParityError",
    "TfliteBackbone",
    "TfliteFileError",
    "compare",
    "convert_backbone",
    "deployment_plan",
    "inspect_file",
    "lint",
    "write_report",
]
