"""Takes .tflite files apart and puts them together again, for changes that the converter does not make."""

from collections.abc import Iterable
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

_SIGNATURE = "serving_default"
_ALIGNMENT = 16


def unpacked(content: bytes) -> schema.ModelT:
    """The content of a .tflite file as objects."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def packed(model: schema.ModelT) -> bytes:
    """The content of a .tflite file from objects, constants aligned as TensorFlow Lite expects them."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _AlignedBuffer(schema.BufferT):
    """TensorFlow's own class loses the alignment that its schema asks for (``force_align: 16``)."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data

    def Pack(self, builder: flatbuffers.Builder) -> int:
        offset = None
        if self.data is not None and len(self.data):
            data = bytes(bytearray(self.data))
            builder.StartVector(1, len(data), _ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            offset = builder.EndVector()
        schema.BufferStart(builder)
        if offset is not None:
            schema.BufferAddData(builder, offset)
        return schema.BufferEnd(builder)


def name_signature(model: schema.ModelT, inputs: list[str], outputs: list[str]) -> None:
    """Name inputs and outputs, in their order: in the signature, by which an app asks for them, and in the graph.

    Raises:
        ValueError: another number of names than there are inputs or outputs.
    """
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
    signature.inputs = _named(graph, graph.inputs, inputs)
    signature.outputs = _named(graph, graph.outputs, outputs)
    model.signatureDefs = [signature]


def keep_outputs(content: bytes, names: tuple[str, ...]) -> bytes:
    """Strike all outputs from a file but those that its signature calls by these names.

    The operators stay: it is for outputs that others are computed from.
    """
    model = unpacked(content)
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    signature.outputs = [output for output in signature.outputs if output.name.decode() in names]
    kept = {output.tensorIndex for output in signature.outputs}
    graph.outputs = np.array([index for index in graph.outputs if index in kept], np.int32)
    return packed(model)


def _named(graph: schema.SubGraphT, indices: Iterable[int], names: list[str]) -> list[schema.TensorMapT]:
    entries = []
    for index, name in zip(indices, names, strict=True):
        graph.tensors[index].name = name
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, int(index)
        entries.append(entry)
    return entries
