"""A .tflite file in words, as read from the file alone."""

import json

from bssl_tf.deploy.flatbuffer.inspect import inspect_file
from bssl_tf.deploy.metadata import read_metadata

_LABELS_SHOWN = 10


def describe(content: bytes) -> str:
    """Description, version, inputs, outputs, labels and provenance, a line each.

    Raises:
        TfliteFileError: no .tflite file, or a damaged one.
        MetadataError: the file has no metadata of this program.
    """
    report, facts = inspect_file(content), read_metadata(content)
    lines = [facts.description, f"version {facts.version}, {report.file_bytes:,} bytes"]
    lines += [f"input   {tensor}" for tensor in report.inputs]
    lines += [f"output  {tensor}" for tensor in report.outputs]
    for output, labels in facts.labels.items():
        more = " …" if len(labels) > _LABELS_SHOWN else ""
        lines.append(f"labels of {output}: {', '.join(labels[:_LABELS_SHOWN])}{more}")
    lines.append(json.dumps(facts.provenance, indent=2, ensure_ascii=False))
    return "\n".join(lines)
