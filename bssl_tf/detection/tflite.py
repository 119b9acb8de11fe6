"""The exported detector: its conversion, its interpreter, and the proof that it finds what Keras finds."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.deploy import compare, convert_backbone
from bssl_tf.deploy.flatbuffer.edit import keep_outputs
from bssl_tf.deploy.flatbuffer.inspect import TfliteFileError
from bssl_tf.deploy.interpreter import TfliteBackbone
from bssl_tf.deploy.parity import Parity
from bssl_tf.detection.model import Detector
from bssl_tf.detection.postprocessing import Detections, detect
from bssl_tf.detection.scores import DetectionScores
from bssl_tf.errors import UserError

OUTPUTS = Detections._fields
RAW_OUTPUT = "raw"
LARGEST_DIFFERENCE = 0.002
"""Of AP between Keras and the file: 0.2 points."""


def convert_detector(detector: Detector, input_type: str = "uint8", folded: bool = True) -> bytes:
    """A .tflite file for Larq Compute Engine that gives `OUTPUTS`, and the raw outputs as well, (1, P · outputs).

    Raises:
        ConversionError: Larq Compute Engine's converter failed.
    """
    grid = detector.grid

    def outputs_of(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return detect(grid, raw)._asdict() | {RAW_OUTPUT: tf.reshape(raw, (1, -1))}

    return convert_backbone(detector.model, input_type=input_type, folded=folded, outputs_of=outputs_of)


class TfliteDetector(TfliteBackbone):
    """A .tflite detector as a function.

        detector = TfliteDetector("detector.tflite")
        boxes, scores, classes, count = detector(images)        # (n, S, S, C) uint8

    Args, attributes and errors as of `deploy.TfliteBackbone`.
    """

    def __call__(self, images: np.ndarray) -> Detections:
        """Objects in images (n, S, S, C), one after another as on the device.

        Raises:
            UserError: another image size than the file's.
        """
        shapes = {output.name: output.shape[1:] for output in self.report.outputs}
        given = zip(OUTPUTS, self.outputs(np.asarray(images), OUTPUTS), strict=True)
        return Detections(*(rows.reshape(len(rows), *shapes[name]) for name, rows in given))

    def _require_outputs(self) -> None:
        names = [output.name for output in self.report.outputs]
        if not set(OUTPUTS) <= set(names):
            raise TfliteFileError(
                f"{self.name} gives {', '.join(names)}. A detector takes one image and gives {', '.join(OUTPUTS)}: "
                "give a file that bssl-detect has written."
            )


@dataclass(frozen=True)
class DetectorParity:
    """Attributes:
    raw: of the raw outputs, as `deploy.parity` compares feature vectors.
    keras, file: scores on the same test images.
    """

    raw: Parity
    keras: DetectionScores
    file: DetectionScores

    @property
    def difference(self) -> float:
        """Of AP, file minus Keras."""
        return (self.file.ap or 0.0) - (self.keras.ap or 0.0)

    def as_dict(self) -> dict[str, Any]:
        return {"raw_outputs": asdict(self.raw), "AP_difference": self.difference}

    def check(self) -> "DetectorParity":
        """Return itself.

        Raises:
            ParityError: the raw outputs differ.
            UserError: AP differs by more than 0.2 points.
        """
        self.raw.check()
        if abs(self.difference) > LARGEST_DIFFERENCE:
            raise UserError(
                f"The file reaches an AP of {100 * (self.file.ap or 0):.2f}, Keras {100 * (self.keras.ap or 0):.2f}: "
                "more than 0.2 points apart. Do not use it. Where there are few test images it may be chance: score "
                "more of them. --noexport leaves the file out; the scores of Keras are kept either way."
            )
        return self


def raw_parity(detector: Detector, content: bytes, images: list[np.ndarray]) -> Parity:
    """Compare raw outputs of Keras and of the file of `convert_detector`."""
    inputs = detector.model.input
    flat = tf.keras.Model(inputs, tf.keras.layers.Flatten(dtype="float32")(detector.model.output))
    return compare(flat, keep_outputs(content, (RAW_OUTPUT,)), images)


def final_file(content: bytes) -> bytes:
    """The file without the raw outputs."""
    return keep_outputs(content, OUTPUTS)
