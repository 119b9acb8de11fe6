"""What a .tflite file says of itself: ``convert.py --show=model.tflite``."""

import json
from pathlib import Path

from absl import flags

from bssl_tf.console import console
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow

FLAG = "show"


def define_flags() -> None:
    flags.DEFINE_string(FLAG, "", "Show inputs, outputs, labels and provenance of a .tflite file, read from it.")


def main() -> None:
    path = Path(flags.FLAGS[FLAG].value)
    if not path.is_file():
        raise ConfigError(f"--show={path} is no file.")
    import_tensorflow()
    from bssl_tf.deploy import inspect_file
    from bssl_tf.deploy.metadata import read_metadata

    content = path.read_bytes()
    report, facts = inspect_file(content), read_metadata(content)
    lines = [f"{path.name}: {facts.description}", f"version {facts.version}, {report.file_bytes:,} bytes"]
    lines += [f"input   {tensor}" for tensor in report.inputs]
    lines += [f"output  {tensor}" for tensor in report.outputs]
    for output, labels in facts.labels.items():
        lines.append(f"labels of {output}: {', '.join(labels[:10])}{' …' if len(labels) > 10 else ''}")
    console.print("\n".join(lines), markup=False)
    console.print(json.dumps(facts.provenance, indent=2, ensure_ascii=False), markup=False)
