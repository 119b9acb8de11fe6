"""Exports a detector: conversion, proof of parity on test images, metadata, report."""

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.console import console
from bssl_tf.deploy import deployment_plan, inspect_file, make_report
from bssl_tf.deploy.metadata import FileFacts, attach_metadata, check_metadata
from bssl_tf.deploy.papers import papers, with_checksums
from bssl_tf.deploy.provenance import provenance
from bssl_tf.detection.annotations import AnnotatedImages
from bssl_tf.detection.model import DETECTOR_WEIGHTS_FILE, Detector, load_detector
from bssl_tf.detection.postprocessing import IOU_THRESHOLD, SCORE_THRESHOLD
from bssl_tf.detection.scores import DetectionScores, Found, score
from bssl_tf.detection.tflite import OUTPUTS, DetectorParity, TfliteDetector, convert_detector, final_file, raw_parity
from bssl_tf.file_sets import write_set
from bssl_tf.files import fingerprint

PARITY_IMAGES = 64
MORE_IMAGES = "of another --test_dataset or --test_split, or leave the file out by --noexport"


def export_detector(
    detector: Detector,
    path: Path,
    test: AnnotatedImages,
    images: tf.data.Dataset,
    keras_scores: DetectionScores,
    input_type: str,
    command: Sequence[str],
    objects_in_images: Callable[[Any, Iterable[np.ndarray]], list[Found]],
) -> dict[str, Any]:
    """Write the .tflite file with its two reports, once it is proven to find what Keras finds.

    Args:
        detector: as saved in the folder of `path`.
        path: the file to write.
        test: the test images' annotations.
        images: the test images, uint8 batches.
        keras_scores: of the Keras detector on these images.
        input_type: uint8 or float32.
        command: the command line to name in report and metadata.
        objects_in_images: `results.objects_in_images`.

    Returns:
        For scores.json: ``tflite``, scores of the file; ``parity``; ``export``, facts on the file.

    Raises:
        ParityError: the file's raw outputs are not those of Keras.
        UserError: its AP is not, or the conversion failed.
    """
    console.print("converting for Larq Compute Engine …")
    started = time.process_time()  # waiting for a busy machine is no part of it
    content = convert_detector(detector, input_type)
    seconds = time.process_time() - started
    console.print("comparing with Keras on the test images …")
    first = images.unbatch().take(PARITY_IMAGES).batch(PARITY_IMAGES)
    raw = raw_parity(detector, content, list(first.as_numpy_iterator())).check(MORE_IMAGES)
    content = _with_metadata(final_file(content), detector, path.parent, command)
    found = objects_in_images(TfliteDetector(content), images.as_numpy_iterator())
    file_scores = score(test.annotations, found)
    console.print(f"file:  {file_scores}")
    parity = DetectorParity(raw, keras_scores, file_scores).check()
    report, plan = inspect_file(content), deployment_plan(detector.model)
    facts = {
        "bytes": report.file_bytes,
        "operators": report.operators,
        "conversion_seconds": round(seconds, 2),
        "binary_macs": plan.binary_macs,
        "float_macs": plan.float_macs,
        "binary_share_of_macs": plan.binary_macs / (plan.binary_macs + plan.float_macs),
    }
    extra = {
        "class_names": list(detector.spec.class_names),
        "AP, Keras and file": [keras_scores.ap, file_scores.ap],
        "score threshold, IoU threshold": [SCORE_THRESHOLD, IOU_THRESHOLD],
        "test data": test.source.name,
    }
    facts_of_file, text = make_report(path.name, content, report, plan, raw, shlex.join(command), extra=extra)
    write_set(path, {path.name: content, **papers(path, with_checksums(facts_of_file, text), text)})
    console.print(f"[bold green]written[/]: {path} ({report.file_bytes} bytes)")
    return {"tflite": file_scores.as_dict(), "parity": parity.as_dict(), "export": facts}


def _with_metadata(content: bytes, detector: Detector, folder: Path, command: Sequence[str]) -> bytes:
    spec, weights = detector.spec.backbone, fingerprint(folder / DETECTOR_WEIGHTS_FILE)
    _, saved = load_detector(folder)
    facts = FileFacts(
        name=detector.model.name,
        description=(
            f"Binary object detector for Larq Compute Engine: {spec.image_size}×{spec.image_size} pixels in 0..255 to "
            "boxes (y0, x0, y1, x1 in shares of height and width), scores, classes and their count."
        ),
        version=weights,
        provenance=provenance(spec, weights, saved["settings"], OUTPUTS, command)
        | {"class_names": list(detector.spec.class_names)},
    )
    finished = attach_metadata(content, facts)
    check_metadata(finished, facts)
    return finished
