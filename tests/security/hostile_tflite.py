"""Crafted .tflite files: each would crash an interpreter that trusts it, or cost much time and memory."""

import io
import struct
import zipfile

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from bssl_tf.deploy.flatbuffer.edit import packed, unpacked
from bssl_tf.deploy.flatbuffer.model_schema import MODEL_SCHEMA
from bssl_tf.deploy.flatbuffer.tables import write_tables


def negative_index(content):
    return _with(content, lambda graph: _set_input(graph, 0, -5))


def missing_input(content):
    return _with(content, lambda graph: _set_input(graph, 1, -1))


def index_out_of_range(content):
    return _with(content, lambda graph: _set_input(graph, 0, 10**9))


def no_options(content):
    return _with(content, lambda graph: setattr(_bconv(graph), "customOptions", None))


def tensor_that_nothing_computes(content):
    return _with(content, lambda graph: graph.operators.pop(2))


def no_inputs(content):
    return _with(content, lambda graph: setattr(_bconv(graph), "inputs", np.zeros(0, np.int32)))


def stride_of_zero(content):
    def change(graph):
        options = bytes(bytearray(_bconv(graph).customOptions))
        place = options.rindex(bytes([1, 1]))  # the last values of the map are the strides
        _bconv(graph).customOptions = np.frombuffer(options[:place] + bytes([0, 0]) + options[place + 2 :], np.uint8)

    return _with(content, change)


def enormous_tensor(content):
    return _with(content, lambda graph: setattr(graph.tensors[-1], "shape", np.full(4, 2**30, np.int32)))


def overlapping_lists(content):
    """A thousand graphs that share one list of a thousand tensors: 10⁶ tables in a few kilobytes."""
    return _sharing({"version": 3, "subgraphs": [{"tensors": [{}] * 1000}] + [{"name": "x"}] * 999}, "subgraphs")


def shared_tensor(content):
    """A graph that names one tensor a hundred thousand times."""
    return _sharing({"version": 3, "subgraphs": [{"tensors": [{"name": ""}] + [{}] * 99_999}]}, "tensors")


def scale_without_zero_point_of_text(content):
    def change(graph):
        tensor = graph.tensors[graph.outputs[0]]
        tensor.type, tensor.quantization = schema.TensorType.STRING, schema.QuantizationParametersT()
        tensor.quantization.scale = np.ones(1, np.float32)

    return _with(content, change)


def _sharing(tables, field):
    """The tables, all entries of the outermost list of that field being its first one."""
    length = len(tables["subgraphs"] if field == "subgraphs" else tables["subgraphs"][0][field])
    written = write_tables(MODEL_SCHEMA, "Model", tables, b"TFL3")
    vector = next(i for i in range(0, len(written) - 4, 4) if struct.unpack_from("<I", written, i)[0] == length)
    target = vector + 4 + struct.unpack_from("<I", written, vector + 4)[0]
    changed = bytearray(written)
    for entry in range(vector + 4, vector + 4 + 4 * length, 4):
        struct.pack_into("<I", changed, entry, target - entry)
    return bytes(changed)


def endless_recursion(content):
    """Options whose flexbuffer refers to itself."""
    return _with(content, lambda graph: setattr(_bconv(graph), "customOptions", np.array([1, 1, 40, 36, 1], np.uint8)))


def not_utf8(content):
    return _with(content, lambda graph: setattr(graph.tensors[0], "name", b"\xff\xfe"))


def cut_within_tables(content):
    return content[: len(content) // 3]


def zip_bomb(content):
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("provenance.json", " " * 2**27)
    return stream.getvalue()


CRAFTED = (
    negative_index,
    missing_input,
    index_out_of_range,
    no_options,
    tensor_that_nothing_computes,
    no_inputs,
    stride_of_zero,
    enormous_tensor,
    overlapping_lists,
    shared_tensor,
    scale_without_zero_point_of_text,
    endless_recursion,
    not_utf8,
    cut_within_tables,
)


def _bconv(graph):
    return next(operator for operator in graph.operators if len(operator.inputs) == 5)


def _set_input(graph, place, index):
    inputs = _bconv(graph).inputs.copy()
    inputs[place] = index
    _bconv(graph).inputs = inputs


def _with(content, change):
    model = unpacked(content)
    change(model.subgraphs[0])
    return packed(model)
