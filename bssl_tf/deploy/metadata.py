"""Metadata of a .tflite file for apps, in the file itself: TensorFlow Lite's own format, and labels in a zip.

    content = attach_metadata(content, FileFacts(...))
    facts = read_metadata(content)                      # the same facts again

Android Studio, Netron and TensorFlow's metadata tools show the metadata; ``unzip`` takes out the attached files,
``provenance.json`` and, where an output has labels, ``labels.txt``. A .tflite file without zip is one too: what is
behind the flatbuffer nobody else looks at. Tables and fields: TensorFlow Lite Support's metadata_schema.fbs 1.5.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from bssl_tf.deploy.flatbuffer.archive import attached_texts
from bssl_tf.deploy.flatbuffer.edit import packed, unpacked
from bssl_tf.deploy.flatbuffer.inspect import METADATA_NAME, FileReport, TensorInfo, inspect_file, read_model
from bssl_tf.deploy.flatbuffer.reading import read_tables
from bssl_tf.deploy.flatbuffer.tables import write_tables
from bssl_tf.errors import UserError
from bssl_tf.files import encoded, json_text

PROVENANCE_FILE = "provenance.json"
LABELS_FILE = "labels.txt"

_SCHEMA = {
    "ModelMetadata": (
        "name:string",
        "description:string",
        "version:string",
        "subgraph_metadata:[SubGraphMetadata]",
        "author:string",
        "license:string",
        "associated_files:[AssociatedFile]",
        "min_parser_version:string",
    ),
    "SubGraphMetadata": (
        "name:string",
        "description:string",
        "input_tensor_metadata:[TensorMetadata]",
        "output_tensor_metadata:[TensorMetadata]",
    ),
    "TensorMetadata": (
        "name:string",
        "description:string",
        "dimension_names:[string]",
        "content:Content",
        "process_units:[ProcessUnit]",
        "stats:Stats",
        "associated_files:[AssociatedFile]",
    ),
    "Content": ("content_properties:FeatureProperties|ImageProperties",),
    "FeatureProperties": (),
    "ImageProperties": ("color_space:byte", "default_size:ImageSize"),
    "ImageSize": ("width:uint", "height:uint"),
    "ProcessUnit": ("options:NormalizationOptions|ScoreCalibrationOptions",),
    "NormalizationOptions": ("mean:[float]", "std:[float]"),
    "Stats": ("max:[float]", "min:[float]"),
    "AssociatedFile": ("name:string", "description:string", "type:byte"),
}
_RGB, _GREY = 1, 2
_DESCRIPTIONS, _AXIS_LABELS = 1, 2
_IDENTIFIER = b"M001"
_DESCRIBED = {
    "features": "feature vector; compare two by their cosine",
    "codes": "the same feature in one bit a number, 8 to a byte, lowest bit first; compare two by the bits that differ",
    "logits": "a score for each label",
    "boxes": "of each object found: top, left, bottom and right, as shares of height and width",
    "scores": "of each object found, from 0 to 1, the best first",
    "classes": "of each object found: the number of its class, from 0",
    "count": "how many objects were found; what is behind them in the other outputs means nothing",
}


class MetadataError(UserError):
    """A file lacks its metadata, or they contradict the file."""


@dataclass(frozen=True)
class FileFacts:
    """Metadata of a file.

    Attributes:
        name: of the network.
        description: one or two sentences for people.
        version: differs between trainings.
        provenance: how the file came to be, and what its network does with pixels; values that JSON can hold.
        labels: names of the numbers of an output, by the output's name in the signature.
    """

    name: str
    description: str
    version: str
    provenance: dict[str, Any]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def attach_metadata(content: bytes, facts: FileFacts) -> bytes:
    """The file with the facts in it; facts that it had are replaced.

    Raises:
        MetadataError: labels for an output that does not exist or has another length, with a line break, or with
            characters that are none.
    """
    report = inspect_file(content)
    _check_labels(facts, report.outputs)
    model = unpacked(content)
    metadata = np.frombuffer(write_tables(_SCHEMA, "ModelMetadata", _tables(facts, report), _IDENTIFIER), np.uint8)
    entries, name = {entry.name: entry for entry in model.metadata or ()}, METADATA_NAME.encode()
    if name in entries:
        model.buffers[entries[name].buffer].data = metadata
    else:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = metadata
        model.buffers.append(buffer)
        entry.name, entry.buffer = name, len(model.buffers) - 1
        model.metadata = [*(model.metadata or ()), entry]
    return _with_files(packed(model), facts)


def read_metadata(content: bytes) -> FileFacts:
    """The facts in a file.

    Raises:
        MetadataError: it has none, or not those that `attach_metadata` writes.
    """
    model = read_model(content)
    entries = [entry for entry in model.get("metadata", ()) if entry.get("name") == METADATA_NAME]
    if not entries:
        raise MetadataError("This .tflite file has no metadata: convert again to get metadata into it.")
    try:
        data = model["buffers"][entries[0].get("buffer", 0)]["data"]
        tables = read_tables(_SCHEMA, "ModelMetadata", data.tobytes())
        (graph,) = tables["subgraph_metadata"]
        files = {
            tensor["name"]: attached["name"]
            for tensor in graph["output_tensor_metadata"]
            for attached in tensor.get("associated_files", ())[:1]
        }
        texts = attached_texts(content, {PROVENANCE_FILE, *files.values()})
        widths = {output.name: output.shape[-1] for output in inspect_file(content).outputs}
        labels = {name: _labels_in(texts[file], widths[name]) for name, file in files.items()}
        provenance = json.loads(texts[PROVENANCE_FILE])
        if not isinstance(provenance, dict):
            raise ValueError(f"{PROVENANCE_FILE} holds no names and values")
        return FileFacts(tables["name"], tables["description"], tables["version"], provenance, labels)
    except (LookupError, ValueError, RecursionError) as error:
        raise MetadataError(
            f"The metadata of this .tflite file are not whole, or another program's ({type(error).__name__}: {error}):"
            " convert again."
        ) from error


def check_metadata(content: bytes, facts: FileFacts) -> None:
    """Read the facts back from the file.

    Raises:
        MetadataError: they are not the ones given.
    """
    found = read_metadata(content)
    if found != facts:
        raise MetadataError(f"The file's metadata are {found} instead of {facts}: this is a defect of the program.")


def _labels_in(text: str, most: int) -> tuple[str, ...]:
    """The lines of a file of labels.

    Raises:
        ValueError: more than `most`.
    """
    labels = text.removesuffix("\n").split("\n", most)
    if len(labels) > most:
        raise ValueError(f"more labels than the {most} numbers of the output")
    return tuple(labels)


def _check_labels(facts: FileFacts, outputs: tuple[TensorInfo, ...]) -> None:
    lengths = {tensor.name: tensor.shape[-1] for tensor in outputs}
    for output, labels in facts.labels.items():
        if output not in lengths:
            raise MetadataError(f"There are labels for the output {output!r}, but the file has {', '.join(lengths)}.")
        if len(labels) != lengths[output]:
            raise MetadataError(f"There are {len(labels)} labels for the {lengths[output]} numbers of {output!r}.")
        broken = [label for label in labels if len(label.splitlines()) != 1 or encoded(label).decode() != label]
        if broken:
            raise MetadataError(f"A label is a line of text, but there is {broken[0]!r}: rename that class.")


def _tables(facts: FileFacts, report: FileReport) -> dict[str, Any]:
    return {
        "name": facts.name,
        "description": facts.description,
        "version": facts.version,
        "subgraph_metadata": [
            {
                "input_tensor_metadata": [_input(tensor) for tensor in report.inputs],
                "output_tensor_metadata": [_output(tensor, facts) for tensor in report.outputs],
            }
        ],
        "associated_files": [
            {"name": PROVENANCE_FILE, "description": "how this file came to be", "type": _DESCRIPTIONS}
        ],
        "min_parser_version": "1.0.0",
    }


def _input(tensor: TensorInfo) -> dict[str, Any]:
    _, height, width, channels = tensor.shape
    image = {"color_space": _GREY if channels == 1 else _RGB, "default_size": {"width": width, "height": height}}
    return {
        "name": tensor.name,
        "description": "pixels from 0 to 255 as they are; the network normalises them itself",
        "content": {"content_properties": ("ImageProperties", image)},
        # mean 0 and deviation 1: nothing is left for the app to do
        "process_units": [{"options": ("NormalizationOptions", {"mean": [0.0], "std": [1.0]})}],
        "stats": {"max": [255.0] * channels, "min": [0.0] * channels},
    }


def _output(tensor: TensorInfo, facts: FileFacts) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": tensor.name,
        "description": _DESCRIBED.get(tensor.name, "numbers without a description"),
        "content": {"content_properties": ("FeatureProperties", {})},
    }
    if tensor.name in facts.labels:
        file = {"name": _labels_file(facts, tensor.name), "description": "a name a line", "type": _AXIS_LABELS}
        values["associated_files"] = [file]
    return values


def _labels_file(facts: FileFacts, output: str) -> str:
    return LABELS_FILE if len(facts.labels) == 1 else f"{output}_{LABELS_FILE}"


def _with_files(content: bytes, facts: FileFacts) -> bytes:
    files = {PROVENANCE_FILE: json_text(facts.provenance)}
    files |= {_labels_file(facts, output): "\n".join(labels) + "\n" for output, labels in facts.labels.items()}
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), encoded(text))  # dated 1980, so that equal facts give equal bytes
    return stream.getvalue()
