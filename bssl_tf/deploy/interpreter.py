"""Runs a converted backbone with Larq Compute Engine's interpreter.

The file may come from anybody: it is checked first, and then run in a process of its own, with bounded time and memory.
On x86 the interpreter takes reference code for binary convolutions: right numbers, telling nothing of
the speed on a phone.
"""

import math
from pathlib import Path

import numpy as np

from bssl_tf.deploy.flatbuffer.inspect import TfliteFileError, inspect_file, read_file
from bssl_tf.deploy.interpreter_process import InterpreterCrash, InterpreterProcess
from bssl_tf.deploy.subjects import LOGITS
from bssl_tf.errors import UserError
from bssl_tf.models.spec import LARGEST_IMAGE

LARGEST_WIDTH = 2**20
"""Numbers of a feature vector: those of the widest network that the flags describe."""
LARGEST_OUTPUTS = 2**25
"""Numbers of all outputs of an image: raw outputs of a detector have many."""
_MOST_AT_ONCE, _SECONDS_AT_ONCE, _BYTES_AT_ONCE = 64, 1.0, 2**26
_OUTPUT_TYPES = ("float32", "uint8", "int8", "int32", "int64")


class TfliteBackbone:
    """A .tflite backbone as a function from pixels to features.

        backbone = TfliteBackbone("model.tflite")
        features = backbone.features(images)            # (n, S, S, C) uint8 → (n, D) float32

    Args:
        source: path of a .tflite file, or its content.
        num_threads: threads of the interpreter.

    Attributes:
        image_shape: (S, S, C).
        report: what is in the file.
        start_seconds: what the interpreter took to load it.

    Raises:
        FileNotFoundError: no such file.
        TfliteFileError: damaged, or not a network from one uint8 or float32 image to vectors, one or more; or the
            interpreter refuses it, crashes on it, or takes more time or memory than `interpreter_process` allows.
    """

    def __init__(self, source: str | Path | bytes, num_threads: int = 2):
        self.name = "these bytes" if isinstance(source, bytes) else str(source)
        content = source if isinstance(source, bytes) else read_file(Path(source))
        try:
            self.report = inspect_file(content)
        except TfliteFileError as error:
            raise TfliteFileError(f"{self.name}: {error}") from error
        self._require_network()
        self._require_outputs()
        self.image_shape = self.report.inputs[0].shape[1:]
        sizes = [math.prod(output.shape) * np.dtype(output.dtype).itemsize for output in self.report.outputs]
        self._ends = np.cumsum([0, *sizes]).tolist()
        try:
            self._interpreter = InterpreterProcess(content, num_threads, output_bytes=sum(sizes))
        except InterpreterCrash as error:
            raise self._crashed(error) from None
        self.start_seconds = self._interpreter.start_seconds

    def _require_network(self) -> None:
        """One image goes in, and vectors of a type and size that this process takes come out."""
        inputs, outputs = self.report.inputs, self.report.outputs
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[0] != 1 or not outputs:
            raise self._no_backbone()
        _, height, width, channels = inputs[0].shape
        if inputs[0].dtype not in ("uint8", "float32"):
            raise self._no_backbone()
        if height != width or not 1 <= height <= LARGEST_IMAGE or channels not in (1, 3):
            raise TfliteFileError(
                f"{self.name} takes images of {height}×{width} pixels and {channels} channel(s). Networks of this "
                f"program take squares of at most {LARGEST_IMAGE} pixels a side, grey or RGB. Give a file that "
                "convert.py has written."
            )
        foreign = [output.dtype for output in outputs if output.dtype not in _OUTPUT_TYPES]
        if foreign:
            raise TfliteFileError(
                f"{self.name} gives {foreign[0]}, not {' or '.join(_OUTPUT_TYPES)}. Give a file that convert.py has "
                "written."
            )
        if sum(math.prod(output.shape) for output in outputs) > LARGEST_OUTPUTS:
            raise TfliteFileError(
                f"{self.name} gives more than {LARGEST_OUTPUTS:,} numbers an image. Give a file that convert.py has "
                "written."
            )
        if self.report.foreign_operators:
            raise TfliteFileError(
                f"{self.name} has operators that Larq Compute Engine lacks:"
                f" {', '.join(self.report.foreign_operators)}. Give a file that convert.py has written."
            )

    def _require_outputs(self) -> None:
        if any(len(output.shape) != 2 for output in self.report.outputs):
            raise self._no_backbone()

    def _no_backbone(self) -> TfliteFileError:
        return TfliteFileError(
            f"{self.name} takes ({'; '.join(map(str, self.report.inputs))}) and gives"
            f" ({'; '.join(map(str, self.report.outputs))}). A backbone takes one image, uint8 or float32 1×S×S×C,"
            " and gives one feature vector, 1×D, and perhaps more vectors. Give a file that convert.py has written."
        )

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features of a batch of pixels, (n, D) float32: the output of that name, or the only one.

        Raises:
            UserError: another image size than the file's, or a file that gives no features, such as a classifier's, or
                wider ones than any network of this program has.
        """
        widest = max(output.shape[-1] for output in self.report.outputs)
        if widest > LARGEST_WIDTH:
            raise UserError(
                f"{self.name} gives {widest:,} features an image, over {LARGEST_WIDTH:,}. Give a file that convert.py "
                "has written."
            )
        return self.outputs(images, (self.output_of_features(),))[0]

    def output_of_features(self) -> str:
        """Name of the output that `features` gives.

        Raises:
            UserError: the file is a classifier's, or gives codes alone.
        """
        only, names = self.report.outputs[0], [output.name for output in self.report.outputs]
        if LOGITS in names and "features" not in names:
            raise UserError(
                f"{self.name} is a classifier: it gives {LOGITS}, a score for each class, and no features. Where "
                "--model needs features, give the file of a backbone: convert.py --workdir=… writes it."
            )
        name = only.name if len(names) == 1 and only.dtype == "float32" else "features"
        self._require((name,))
        return name

    def _require(self, names: tuple[str, ...]) -> list[str]:
        """Names of all outputs, if those wanted are among them."""
        existing = [output.name for output in self.report.outputs]
        missing = [name for name in names if name not in existing]
        if missing:
            raise UserError(
                f"{self.name} gives {', '.join(existing)}, but no {', '.join(missing)}: convert again with"
                f" --outputs={','.join(names)}."
            )
        return existing

    def outputs(self, images: np.ndarray, names: tuple[str, ...]) -> list[np.ndarray]:
        """Outputs of a batch of pixels, by their names in the signature.

        Args:
            images: (n, S, S, C), pixels in 0..255, of any number type.
            names: such as "features" and "codes".

        Returns:
            (n, D) for each name. The images go through one by one, as on the device; larger batches
            were measured to be no faster.

        Raises:
            UserError: another image size than the file's, or no such output.
        """
        existing = self._require(names)
        if images.ndim != 4 or tuple(images.shape[1:]) != self.image_shape:
            size, channels = self.image_shape[0], self.image_shape[2]
            raise UserError(
                f"{self.name} takes images of shape {self.image_shape}, these are {tuple(images.shape[1:])}."
                f" Load the images with --image_size={size} --channels={channels}, or convert for the other"
                " size."
            )
        images = images.astype(self.report.inputs[0].dtype, copy=False)
        most = max(1, min(_MOST_AT_ONCE, _BYTES_AT_ONCE // max(1, images[:1].nbytes, self._ends[-1])))
        given, place, count = [], 0, 1
        while place < len(images):
            seconds, part = self.run(images[place : place + count])
            given.append(part)
            place += len(part[0])
            count = max(1, min(most, int(len(part[0]) * _SECONDS_AT_ONCE / max(seconds, 1e-6))))
        return [np.concatenate([part[existing.index(name)] for part in given]) for name in names]

    def run(self, images: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """Seconds within the interpreter and all outputs, (n, D), for images of the file's own type, (n, S, S, C).

        They are sent to the interpreter's process together, and have to be done within its time for an answer.
        """
        try:
            seconds, content = self._interpreter.run(np.ascontiguousarray(images).tobytes(), len(images))
        except InterpreterCrash as error:
            raise self._crashed(error) from None
        rows = np.frombuffer(content, np.uint8).reshape(len(images), self._ends[-1])
        ends = zip(self.report.outputs, self._ends, self._ends[1:], strict=False)
        return seconds, [np.ascontiguousarray(rows[:, a:b]).view(output.dtype) for output, a, b in ends]

    def _crashed(self, error: InterpreterCrash) -> TfliteFileError:
        return TfliteFileError(
            f"{self.name} cannot be run: the interpreter, in a process of its own, {error}. The file is damaged, or "
            "made to do so: copy it again, or convert again."
        )


class TfliteClassifier(TfliteBackbone):
    """A .tflite classifier as a function from pixels to scores of its classes: that is what `features` gives.

    Args, attributes and errors as of `TfliteBackbone`.
    """

    def output_of_features(self) -> str:
        return LOGITS


class TfliteNetwork(TfliteBackbone):
    """A .tflite file from one image to whatever it gives, a detector's boxes for instance: for timing.

    Args, attributes and errors as of `TfliteBackbone`.
    """

    def _require_outputs(self) -> None:
        """Outputs of any shape will do."""
