"""Looks inside a .tflite file: operators, where its bytes go, and what it takes and gives."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bssl_tf.deploy.flatbuffer.archive import ArchiveError, attached_bytes
from bssl_tf.deploy.flatbuffer.checks import OPERATOR_NAMES, TYPE_NAMES, FileCheckError, check_model, operator_name
from bssl_tf.deploy.flatbuffer.model_schema import MODEL_SCHEMA
from bssl_tf.deploy.flatbuffer.reading import TableError, read_tables
from bssl_tf.errors import UserError

BINARY_WEIGHTS = "binary weights"
BINARY_OUTPUT = "multipliers, biases and thresholds of binary convolutions"
FLOAT_WEIGHTS = "float weights"
FLOAT_VECTORS = "float biases, scales and slopes"
OTHER = "other constants"
METADATA = "metadata and attached files"
BYTE_KINDS = (BINARY_WEIGHTS, BINARY_OUTPUT, FLOAT_WEIGHTS, FLOAT_VECTORS, OTHER, METADATA)

METADATA_NAME = "TFLITE_METADATA"
LARGEST_FILE = 2**28

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
    scale: float | None = None
    zero_point: int | None = None

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
        builtin = OPERATOR_NAMES.values()
        return tuple(name for name in self.operators if name not in builtin and not name.startswith("Lce"))


def read_file(path: Path) -> bytes:
    """The content of a .tflite file.

    Raises:
        OSError: it cannot be read.
        TfliteFileError: it is far larger than a network for a phone.
    """
    size = Path(path).stat().st_size
    if size > LARGEST_FILE:
        raise TfliteFileError(f"{path} has {size:,} bytes; a file of this program has at most {LARGEST_FILE:,}.")
    return Path(path).read_bytes()


def inspect_file(content: bytes) -> FileReport:
    """Read and check a .tflite file completely, so that a damaged one is found before an interpreter crashes on it.

    Raises:
        TfliteFileError: not a .tflite file, cut short or damaged.
    """
    return _report(read_model(content), len(content), _checked(content, attached_bytes, content))


def read_model(content: bytes) -> dict[str, Any]:
    """The tables of a .tflite file (see `model_schema`), checked.

    Raises:
        TfliteFileError: as `inspect_file`.
    """
    if content[4:8] != b"TFL3":
        raise TfliteFileError(
            f"These {len(content)} bytes are not a .tflite file: the mark 'TFL3' is missing. Give the path of"
            " a file that convert.py has written."
        )
    model = _checked(content, read_tables, MODEL_SCHEMA, "Model", content)
    _checked(content, check_model, model)
    return model


def _checked(content: bytes, check: Callable, *arguments: Any) -> Any:
    try:
        return check(*arguments)
    except (TableError, FileCheckError, ArchiveError) as error:
        raise TfliteFileError(
            f"This .tflite file of {len(content)} bytes is cut short or damaged: {error}. Copy it again, or convert"
            " again."
        ) from error


def _report(model: dict[str, Any], file_bytes: int, attached: int) -> FileReport:
    codes = [operator_name(code) for code in model.get("operator_codes", ())]
    sizes = [len(buffer.get("data", ())) for buffer in model.get("buffers", ())]
    operators: Counter[str] = Counter()
    constants = dict.fromkeys(BYTE_KINDS, 0)
    counted: set[int] = set()
    for graph in model["subgraphs"]:
        for operator in graph.get("operators", ()):
            name = codes[operator.get("opcode_index", 0)]
            operators[name] += 1
            for position, index in enumerate(operator.get("inputs", ())):
                if index < 0:  # an optional input that is not there
                    continue
                tensor = graph["tensors"][index]
                buffer = tensor.get("buffer", 0)
                if sizes[buffer] and buffer not in counted:
                    counted.add(buffer)
                    constants[_kind(name, position, tensor)] += sizes[buffer]
    metadata = {entry.get("buffer", 0) for entry in model.get("metadata", ()) if entry.get("name") == METADATA_NAME}
    for index, size in enumerate(sizes):
        if index not in counted:
            constants[METADATA if index in metadata else OTHER] += size
    constants[METADATA] += attached
    graph = model["subgraphs"][0]
    tensors, names = graph.get("tensors", ()), _signature_names(model)
    return FileReport(
        file_bytes=file_bytes,
        operators=dict(operators.most_common()),
        constant_bytes=constants,
        name_bytes=sum(
            len(tensor.get("name", "").encode()) for graph in model["subgraphs"] for tensor in graph.get("tensors", ())
        ),
        inputs=tuple(_tensor_info(tensors[index], names.get(index)) for index in map(int, graph.get("inputs", ()))),
        outputs=tuple(_tensor_info(tensors[index], names.get(index)) for index in map(int, graph.get("outputs", ()))),
    )


def _kind(operator: str, position: int, tensor: dict[str, Any]) -> str:
    if operator == "LceBconv2d":
        return BINARY_WEIGHTS if position == 1 else BINARY_OUTPUT
    if operator == "DEQUANTIZE":  # of `float_weights`
        return FLOAT_WEIGHTS
    if TYPE_NAMES[tensor.get("type", 0)] not in ("FLOAT32", "FLOAT16"):
        return OTHER
    if operator in _WEIGHTED_OPERATORS and position == 1:
        return FLOAT_WEIGHTS
    return FLOAT_VECTORS


def _signature_names(model: dict[str, Any]) -> dict[int, str]:
    return {
        entry.get("tensor_index", 0): entry.get("name", "")
        for signature in model.get("signature_defs", ())
        for entry in [*signature.get("inputs", ()), *signature.get("outputs", ())]
    }


def _tensor_info(tensor: dict[str, Any], signature_name: str | None) -> TensorInfo:
    quantization = tensor.get("quantization", {})
    quantized = len(quantization.get("scale", ())) > 0
    return TensorInfo(
        name=signature_name or tensor.get("name", ""),
        tensor_name=tensor.get("name", ""),
        shape=tuple(int(size) for size in tensor.get("shape", ())),
        dtype=TYPE_NAMES[tensor.get("type", 0)].lower(),
        scale=float(quantization["scale"][0]) if quantized else None,
        zero_point=int(quantization["zero_point"][0]) if quantized else None,
    )
