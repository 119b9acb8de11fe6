"""Runs a detector, Keras's or the exported file, over test images."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bssl_tf.data import readable_data_errors
from bssl_tf.detection.postprocessing import Detections
from bssl_tf.detection.scores import Found


def objects_in_images(detect: Callable[[Any], Detections], batches: Iterable[np.ndarray]) -> list[Found]:
    """What a detector finds in each image.

    Args:
        detect: pixels (b, S, S, C) uint8 → `Detections`.
        batches: of `batches.evaluation_batches`.
    """
    found = []
    with readable_data_errors():
        for batch in batches:
            boxes, scores, classes, counts = (np.asarray(part) for part in detect(batch))
            for image, count in enumerate(counts.astype(int)):
                found.append(Found(boxes[image, :count], scores[image, :count], classes[image, :count].astype(int)))
    return found
