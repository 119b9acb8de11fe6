"""Looks inside a .tflite file: operators, where its bytes go, and what it takes and gives."""

import io
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from tensorflow.lite.python import schema_py_generated as schema

from bssl_tf.deploy.flatbuffer.edit import unpacked
from bssl_tf.errors import UserError

BINARY_WEIGHTS = "binary weights"
BINARY_OUTPUT = "multipliers, biases and thresholds of binary convolutions"
FLOAT_WEIGHTS = "float weights"
FLOAT_VECTORS = "float biases, scales and slopes"
OTHER = "other constants"
METADATA = "metadata and attached files"
BYTE_KINDS = (BINARY_WEIGHTS, BINARY_OUTPUT, FLOAT_WEIGHTS, FLOAT_VECTORS, OTHER, METADATA)

METADATA_NAME = b"TFLITE_METADATA"

_WEIGHTED_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL")


class TfliteFileError(UserError):
    """The bytes are no usable .tflite file; the message tells why and what to do."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the file.

    Attributes:
        name: its name in the signature, by which an app asks for it.
        tensor_name: its name in the graph, which benchmark tools print.
        shape: with the batch of 1 in front.
        dtype: numpy's name of the type.
        scale, zero_point: quantisation, or None where the numbers mean themselves.
    """

    name: str
    tensor_name: str
    shape: tuple[int, ...]
    dtype: str
    scale: Optional[float] = None
    zero_point: Optional[int] = None

    def __str__(self) -> str:
        text = f"{self.name}: {self.dtype} {'×'.join(map(str, self.shape))}"
        return text if self.scale is None else f"{text}, scale {self.scale:g}, zero point {self.zero_point}"


@dataclass(frozen=True)
class FileReport:
    """What is in a .tflite file.

    Attributes:
        file_bytes: size of the file.
        operators: count of each kind of operator, most frequent first; custom ones by their own name.
        constant_bytes: bytes of constants by kind, keys as in `BYTE_KINDS`.
        name_bytes: bytes of the names of tensors, which only profilers read.
        inputs, outputs: the signature.
    """

    file_bytes: int
    operators: dict[str, int]
    constant_bytes: dict[str, int]
    name_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    @cached_property
    def structure_bytes(self) -> int:
        """Everything but constants, metadata and names: operators, tensors and their settings, padding."""
        return self.file_bytes - self.name_bytes - sum(self.constant_bytes.values())

    @property
    def foreign_operators(self) -> tuple[str, ...]:
        """Custom operators that Larq Compute Engine does not have, so that it cannot run the file."""
        builtin = _OPERATOR_NAMES.values()
        return tuple(name for name in self.operators if name not in builtin and not name.startswith("Lce"))


def _names(enumeration) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_OPERATOR_NAMES = _names(schema.BuiltinOperator)
_TYPE_NAMES = _names(schema.TensorType)


def inspect_file(content: bytes) -> FileReport:
    """Parse a .tflite file completely, so that a damaged one is found before an interpreter crashes on it.

    Raises:
        TfliteFileError: not a .tflite file, cut short or damaged.
    """
    if content[4:8] != b"TFL3":
        raise TfliteFileError(
            f"These {len(content)} bytes are not a .tflite file: the mark 'TFL3' is missing. Give the path of"
            " a file that convert.py has written."
        )
    try:
        return _report(unpacked(content), len(content), attached_bytes(content))
    except Exception as error:  # each kind of damage surfaces as another exception of the parser
        raise TfliteFileError(
            f"This .tflite file of {len(content)} bytes is cut short or damaged ({type(error).__name__}:"
            f" {error}). Copy it again, or convert again."
        ) from error


def attached_bytes(content: bytes) -> int:
    """Length of the zip archive behind the flatbuffer; 0 if there is none."""
    stream = io.BytesIO(content)
    if not zipfile.is_zipfile(stream):
        return 0
    with zipfile.ZipFile(stream) as archive:
        return len(content) - min((entry.header_offset for entry in archive.infolist()), default=len(content))


def _report(model: schema.ModelT, file_bytes: int, attached: int) -> FileReport:
    codes = [_operator_name(code) for code in model.operatorCodes]
    operators, constants = Counter(), dict.fromkeys(BYTE_KINDS, 0)
    counted: set[int] = set()
    for graph in model.subgraphs:
        for operator in graph.operators or ():
            name = codes[operator.opcodeIndex]
            operators[name] += 1
            for position, index in enumerate(operator.inputs if operator.inputs is not None else ()):
                if index < 0:  # an optional input that is not there
                    continue
                tensor = graph.tensors[index]
                size = _size(model.buffers[tensor.buffer])
                if size and tensor.buffer not in counted:
                    counted.add(tensor.buffer)
                    constants[_kind(name, position, tensor)] += size
    metadata = {entry.buffer for entry in model.metadata or () if entry.name == METADATA_NAME}
    for index, buffer in enumerate(model.buffers):
        if index not in counted:
            constants[METADATA if index in metadata else OTHER] += _size(buffer)
    constants[METADATA] += attached
    graph = model.subgraphs[0]
    names = _signature_names(model)
    return FileReport(
        file_bytes=file_bytes,
        operators=dict(operators.most_common()),
        constant_bytes=constants,
        name_bytes=sum(len(tensor.name) for graph in model.subgraphs for tensor in graph.tensors),
        inputs=tuple(_tensor_info(graph.tensors[index], names.get(index)) for index in graph.inputs),
        outputs=tuple(_tensor_info(graph.tensors[index], names.get(index)) for index in graph.outputs),
    )


def _operator_name(code: schema.OperatorCodeT) -> str:
    if code.customCode:
        return code.customCode.decode()
    return _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _size(buffer: schema.BufferT) -> int:
    return 0 if buffer.data is None else len(buffer.data)


def _kind(operator: str, position: int, tensor: schema.TensorT) -> str:
    if operator == "LceBconv2d":
        return BINARY_WEIGHTS if position == 1 else BINARY_OUTPUT
    if operator == "DEQUANTIZE":  # of `float_weights`
        return FLOAT_WEIGHTS
    if tensor.type not in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16):
        return OTHER
    if operator in _WEIGHTED_OPERATORS and position == 1:
        return FLOAT_WEIGHTS
    return FLOAT_VECTORS


def _signature_names(model: schema.ModelT) -> dict[int, str]:
    return {
        entry.tensorIndex: entry.name.decode()
        for signature in model.signatureDefs or ()
        for entry in [*(signature.inputs or ()), *(signature.outputs or ())]
    }


def _tensor_info(tensor: schema.TensorT, signature_name: Optional[str]) -> TensorInfo:
    tensor_name = tensor.name.decode()
    quantized = tensor.quantization is not None and tensor.quantization.scale is not None
    return TensorInfo(
        name=signature_name or tensor_name,
        tensor_name=tensor_name,
        shape=tuple(int(size) for size in tensor.shape),
        dtype=_TYPE_NAMES[tensor.type].lower(),
        scale=float(tensor.quantization.scale[0]) if quantized else None,
        zero_point=int(tensor.quantization.zeroPoint[0]) if quantized else None,
    )
