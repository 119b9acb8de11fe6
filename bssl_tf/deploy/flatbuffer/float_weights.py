"""Stores the float weights of a converted file in 8 or 16 bits.

    content = with_float_weights(content, "int8")

Larq Compute Engine's converter cannot do it: it quantises a network as a whole, activations too, from ranges that
training has to bring, and TensorFlow Lite's own quantiser does not read its binary operators. So the finished file is
rewritten: each kernel of a float convolution or dense layer is stored in fewer bits, and a DEQUANTIZE in front makes it
float again. Only weights are rounded. The engine computes in float as before; as a stored kernel is a constant, it is
dequantised once, when the engine first runs. What becomes smaller is the file, not the memory in use.
"""

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from bssl_tf.config.export import FLOAT_WEIGHTS
from bssl_tf.deploy.flatbuffer.edit import packed, unpacked
from bssl_tf.errors import UserError

_LEAST_NUMBERS = 1024
"""Smaller kernels stay: the operator and the tensor more take about as much as would be saved."""
_CHANNEL_AXIS = {
    schema.BuiltinOperator.CONV_2D: 0,
    schema.BuiltinOperator.FULLY_CONNECTED: 0,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
}


def with_float_weights(content: bytes, kind: str) -> bytes:
    """The file with its float kernels stored as `kind`; the same file if all of them are small.

    Args:
        content: of a .tflite file.
        kind: one of `FLOAT_WEIGHTS`. int8 is symmetric, with a scale for each output channel.

    Raises:
        UserError: another kind.
    """
    if kind not in FLOAT_WEIGHTS:
        raise UserError(f"--float_weights={kind!r} is not known; it is one of {', '.join(FLOAT_WEIGHTS)}.")
    if kind == "float32":
        return content
    model = unpacked(content)
    graph, stored = model.subgraphs[0], {}
    operators = []
    for operator in graph.operators:
        axis = _CHANNEL_AXIS.get(_builtin(model, operator))
        if axis is not None and _is_large_float_constant(model, graph.tensors[operator.inputs[1]]):
            kernel = int(operator.inputs[1])
            if kernel not in stored:
                stored[kernel] = _store(model, kernel, axis, kind)
                operators.append(_dequantize(model, stored[kernel], kernel))
        operators.append(operator)
    graph.operators = operators
    return packed(model) if stored else content


def _builtin(model: schema.ModelT, operator: schema.OperatorT) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _is_large_float_constant(model: schema.ModelT, tensor: schema.TensorT) -> bool:
    data = model.buffers[tensor.buffer].data
    return tensor.type == schema.TensorType.FLOAT32 and data is not None and len(data) >= 4 * _LEAST_NUMBERS


def _store(model: schema.ModelT, index: int, axis: int, kind: str) -> int:
    """Add a tensor with the kernel in fewer bits, and make the kernel itself one that is computed."""
    graph = model.subgraphs[0]
    kernel = graph.tensors[index]
    values = np.frombuffer(bytes(bytearray(model.buffers[kernel.buffer].data)), np.float32).reshape(kernel.shape)
    small = schema.TensorT()
    small.shape, small.name = kernel.shape, kernel.name + f"_{kind}".encode()
    if kind == "float16":
        small.type, values = schema.TensorType.FLOAT16, values.astype(np.float16)
    else:
        others = tuple(other for other in range(values.ndim) if other != axis)
        scale = np.maximum(np.abs(values).max(others), np.finfo(np.float32).tiny) / 127
        shape = [-1 if other == axis else 1 for other in range(values.ndim)]
        small.type, values = schema.TensorType.INT8, np.round(values / scale.reshape(shape)).astype(np.int8)
        small.quantization = schema.QuantizationParametersT()
        small.quantization.scale = scale.astype(np.float32)
        small.quantization.zeroPoint = np.zeros(len(scale), np.int64)
        small.quantization.quantizedDimension = axis
    small.buffer = kernel.buffer
    model.buffers[kernel.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    kernel.buffer = 0  # the empty one
    graph.tensors.append(small)
    return len(graph.tensors) - 1


def _dequantize(model: schema.ModelT, source: int, target: int) -> schema.OperatorT:
    code = schema.BuiltinOperator.DEQUANTIZE
    known = [max(entry.builtinCode, entry.deprecatedBuiltinCode) for entry in model.operatorCodes]
    if code not in known:
        entry = schema.OperatorCodeT()
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 5  # with a scale for each channel
        model.operatorCodes.append(entry)
        known.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = known.index(code)
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    return operator
