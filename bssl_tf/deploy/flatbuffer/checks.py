"""Checks that a .tflite file's parts refer to each other as they must, before an interpreter follows them blindly.

An index out of range, an operator of Larq Compute Engine without its options or a tensor that nothing computes makes
the interpreter crash, or read what is not its own.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from flatbuffers import flexbuffers
from tensorflow.lite.python import schema_py_generated as schema

LARGEST_TENSOR_BYTES = 2**31
LARGEST_TENSORS_BYTES = 2**33
_LARGEST_OPTION = 2**16
_ABSENT = -1


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TYPE_NAMES = _names(schema.TensorType)

_BITS = dict(FLOAT32=32, FLOAT16=16, INT32=32, UINT8=8, INT64=64, BOOL=8, INT16=16, INT8=8, UINT32=32, UINT16=16)
_BITS |= dict(FLOAT64=64, COMPLEX64=64, COMPLEX128=128, UINT64=64, INT4=4)

_LCE_INPUTS = {"LceBconv2d": (4, 5), "LceBMaxPool2d": (1,), "LceQuantize": (1,), "LceDequantize": (1,)}
_LCE_OPTIONS = {
    "LceBconv2d": {
        "channels_in": 1,
        "dilation_height_factor": 1,
        "dilation_width_factor": 1,
        "fused_activation_function": 0,
        "pad_values": 0,
        "padding": 0,
        "stride_height": 1,
        "stride_width": 1,
    },
    "LceBMaxPool2d": {"padding": 0, "stride_width": 1, "stride_height": 1, "filter_width": 1, "filter_height": 1},
}
"""Options of each operator of Larq Compute Engine 0.16, and the smallest value of each."""

_STRIDES = ("stride_w", "stride_h")
_BUILTIN_OPTIONS = {
    "CONV_2D": (schema.BuiltinOptions.Conv2DOptions, _STRIDES),
    "DEPTHWISE_CONV_2D": (schema.BuiltinOptions.DepthwiseConv2DOptions, _STRIDES),
    "TRANSPOSE_CONV": (schema.BuiltinOptions.TransposeConvOptions, _STRIDES),
    **dict.fromkeys(
        ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"),
        (schema.BuiltinOptions.Pool2DOptions, (*_STRIDES, "filter_width", "filter_height")),
    ),
}
"""Operators by whose options something is divided: the kind of the options, and which have to be above 0."""

_BITS_TYPE = ("INT32",)
_VALUES = ("FLOAT32", "INT8")
_LCE_TYPES = {
    "LceBconv2d": ((_BITS_TYPE, _BITS_TYPE, ("FLOAT32",), ("FLOAT32",), _BITS_TYPE), (*_VALUES, *_BITS_TYPE)),
    "LceBMaxPool2d": ((_BITS_TYPE,), _BITS_TYPE),
    "LceQuantize": (((*_VALUES, "BOOL"),), _BITS_TYPE),
    "LceDequantize": ((_BITS_TYPE,), _VALUES),
}
"""Types that the inputs and the output of an operator may have; INT32 holds 32 bits."""


class FileCheckError(ValueError):
    """Parts of a file contradict each other; the message says which."""


def check_model(model: dict[str, Any]) -> None:
    """Check a file's tables, as `reading.read_tables` gives them.

    Raises:
        FileCheckError: with the first contradiction.
    """
    buffers, graphs = model.get("buffers", []), model.get("subgraphs", [])
    if not graphs:
        raise FileCheckError("it holds no graph")
    for buffer in buffers:
        if buffer.get("offset", 0) > 1 or buffer.get("size", 0) > 1:
            raise FileCheckError("it keeps constants behind the flatbuffer, which no file of this engine does")
    names = [operator_name(code) for code in model.get("operator_codes", ())]
    for graph in graphs:
        _check_tensors(graph.get("tensors", []), buffers)
        _check_graph(graph, names, buffers)
    for entry in model.get("metadata", ()):
        _within(entry.get("buffer", 0), buffers, "metadata refer to buffer")
    for signature in model.get("signature_defs", ()):
        number = _within(signature.get("subgraph_index", 0), graphs, "a signature refers to graph")
        for entry in [*signature.get("inputs", ()), *signature.get("outputs", ())]:
            _within(entry.get("tensor_index", 0), graphs[number].get("tensors", []), "a signature refers to tensor")


def operator_name(code: dict[str, Any]) -> str:
    """The name of an operator code: a custom one's own.

    Raises:
        FileCheckError: TensorFlow Lite has no such operator.
    """
    number = max(code.get("builtin_code", 0), code.get("deprecated_builtin_code", 0))
    if number == schema.BuiltinOperator.CUSTOM:
        if not code.get("custom_code"):
            raise FileCheckError("it has a custom operator without a name")
        return code["custom_code"]
    if number not in OPERATOR_NAMES:
        raise FileCheckError(f"it has an operator of number {number}, which does not exist")
    return OPERATOR_NAMES[number]


def _check_tensors(tensors: list[dict[str, Any]], buffers: list[dict[str, Any]]) -> None:
    total = 0
    for index, tensor in enumerate(tensors):
        _within(tensor.get("buffer", 0), buffers, f"tensor {index} refers to buffer")
        kind = TYPE_NAMES.get(tensor.get("type", 0))
        if kind is None:
            raise FileCheckError(f"tensor {index} has numbers of type {tensor['type']}, which does not exist")
        shape = [int(size) for size in tensor.get("shape", ())]
        if any(size < 0 for size in shape):
            raise FileCheckError(f"tensor {index} has the shape {shape}")
        _check_quantization(index, tensor.get("quantization", {}), shape)
        if kind not in _BITS:
            continue
        size = -(-math.prod(shape) * _BITS[kind] // 8)
        constant = len(buffers[tensor.get("buffer", 0)].get("data", ()))
        if constant and constant != size:
            raise FileCheckError(f"tensor {index} of shape {shape} takes {size} bytes, but its constant has {constant}")
        total += size
        if size > LARGEST_TENSOR_BYTES or total > LARGEST_TENSORS_BYTES:
            raise FileCheckError(f"tensor {index} of shape {shape} makes the network larger than is allowed")


def _check_quantization(index: int, quantization: dict[str, Any], shape: list[int]) -> None:
    scales, zeros = len(quantization.get("scale", ())), len(quantization.get("zero_point", ()))
    if zeros not in (0, 1, scales) or (scales and not zeros):
        raise FileCheckError(f"tensor {index} has {scales} scales and {zeros} zero points")
    axis = quantization.get("quantized_dimension", 0)
    if scales > 1 and (not 0 <= axis < len(shape) or shape[axis] != scales):
        raise FileCheckError(f"tensor {index} of shape {shape} has {scales} scales along axis {axis}")


def _check_graph(graph: dict[str, Any], names: list[str], buffers: list[dict[str, Any]]) -> None:
    tensors = graph.get("tensors", [])
    there = {
        index
        for index, tensor in enumerate(tensors)
        if len(buffers[tensor.get("buffer", 0)].get("data", ())) or tensor.get("is_variable")
    }
    constants = frozenset(there)
    for end in ("inputs", "outputs"):
        for index in _indices(graph, end):
            _within(index, tensors, f"the graph's {end} are tensor")
    there.update(_indices(graph, "inputs"))
    for number, operator in enumerate(graph.get("operators", ())):
        name = names[_within(operator.get("opcode_index", 0), names, f"operator {number} is operator code")]
        where = f"operator {number} ({name})"
        inputs, outputs = _indices(operator, "inputs"), _indices(operator, "outputs")
        _check_operator(where, name, operator, inputs, outputs)
        for index in inputs:
            if index != _ABSENT and _within(index, tensors, f"{where} reads tensor") not in there:
                raise FileCheckError(f"{where} reads tensor {index}, which nothing has computed before")
        for index in [*outputs, *(i for i in _indices(operator, "intermediates") if i != _ABSENT)]:
            _within(index, tensors, f"{where} writes tensor")
        if constants.intersection(outputs):
            raise FileCheckError(f"{where} writes over a constant")
        there.update(outputs)
        if name in _LCE_TYPES:
            _check_types(where, name, [tensors[i] if i != _ABSENT else None for i in (*inputs, *outputs)])
    missing = [index for index in _indices(graph, "outputs") if index not in there]
    if missing:
        raise FileCheckError(f"the output, tensor {missing[0]}, is computed by nothing")


def _check_operator(where: str, name: str, operator: dict[str, Any], inputs: list[int], outputs: list[int]) -> None:
    if operator.get("large_custom_options_offset", 0) > 1 or operator.get("large_custom_options_size", 0) > 1:
        raise FileCheckError(f"{where} keeps its options behind the flatbuffer")
    if not outputs:
        raise FileCheckError(f"{where} computes nothing")
    if name in _BUILTIN_OPTIONS:
        kind, above_zero = _BUILTIN_OPTIONS[name]
        found, options = operator.get("builtin_options", (0, {}))
        if found != kind or any(not 0 < options.get(key, 0) <= _LARGEST_OPTION for key in above_zero):
            raise FileCheckError(f"{where} has the options {options}")
    if name not in _LCE_INPUTS:
        return
    if len(inputs) not in _LCE_INPUTS[name] or len(outputs) != 1 or _ABSENT in inputs[:2]:
        raise FileCheckError(f"{where} has {inputs} as inputs and {outputs} as outputs")
    if name == "LceBconv2d" and not (_ABSENT not in inputs[2:4] or (len(inputs) == 5 and inputs[4] != _ABSENT)):
        raise FileCheckError(f"{where} has neither multipliers with biases nor thresholds")
    smallest = _LCE_OPTIONS.get(name, {})
    if smallest:
        _check_options(where, operator.get("custom_options", np.zeros(0, np.uint8)).tobytes(), smallest)


def _check_types(where: str, name: str, ends: list[dict[str, Any] | None]) -> None:
    of_inputs, of_output = _LCE_TYPES[name]
    types = [None if tensor is None else TYPE_NAMES[tensor.get("type", 0)] for tensor in ends]
    fits = types[-1] in of_output and all(
        kind in (None, *may) for kind, may in zip(types[:-1], of_inputs, strict=False)
    )
    if name == "LceBconv2d":
        fits = fits and (types[-1] in _BITS_TYPE) == (len(types) == 6 and types[4] is not None)  # with thresholds
    if not fits:
        raise FileCheckError(f"{where} has tensors of type {', '.join(map(str, types))}")


def _check_options(where: str, content: bytes, smallest: dict[str, int]) -> None:
    for key, low in smallest.items():
        try:
            value = flexbuffers.GetRoot(content).AsMap[key].AsInt
        except Exception as error:  # the parser raises whatever it trips over
            raise FileCheckError(f"{where} lacks the option {key}, or its options are damaged") from error
        if not low <= value <= _LARGEST_OPTION:
            raise FileCheckError(f"{where} has the option {key}={value}")


def _indices(table: dict[str, Any], field: str) -> list[int]:
    return [int(index) for index in table.get(field, ())]


def _within(index: int, entries: Sequence[Any], what: str) -> int:
    if not 0 <= index < len(entries):
        raise FileCheckError(f"{what} {index}, of {len(entries)}")
    return int(index)
