"""Scores a trained detector, and the file made of it, on the test images; what was scored before is kept."""

import hashlib
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.config.detection import DetectionRunSettings
from bssl_tf.console import console
from bssl_tf.data import readable_data_errors
from bssl_tf.detection.annotations import AnnotatedImages
from bssl_tf.detection.batches import evaluation_batches
from bssl_tf.detection.export import export_detector
from bssl_tf.detection.model import DETECTOR_FILE, DETECTOR_WEIGHTS_FILE, load_detector
from bssl_tf.detection.postprocessing import Detections, detector_function
from bssl_tf.detection.scores import Found, score
from bssl_tf.detection.sheet import write_sheet
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.evaluation.tables import Table, markdown
from bssl_tf.file_sets import finish_set
from bssl_tf.files import encoded, fingerprint, read_json, write_json, write_text

SCORES_FILE, TABLE_FILE, SHEET_FILE, TFLITE_FILE = "scores.json", "scores.md", "sheet.png", "detector.tflite"
REPORTS = tuple(str(Path(TFLITE_FILE).with_suffix(ending)) for ending in (".json", ".md"))
WRITTEN = (DETECTOR_FILE, DETECTOR_WEIGHTS_FILE, SCORES_FILE, TABLE_FILE, SHEET_FILE, TFLITE_FILE, *REPORTS)
"""Files of a detector's folder, besides those of every phase."""
PARTS_OF_FILE = ("tflite", "parity", "export")
COLUMNS = {
    "AP": "ap",
    "AP50": "ap50",
    "AP75": "ap75",
    "AP small": "ap_small",
    "AP medium": "ap_medium",
    "AP large": "ap_large",
    "VOC AP50": "voc_ap50",
}


def objects_in_images(detect: Callable[[Any], Detections], batches: Iterable[np.ndarray]) -> list[Found]:
    """What a detector finds in each image.

    Args:
        detect: pixels (b, S, S, C) uint8 → `Detections`.
        batches: uint8 (b, S, S, C), in the order of the annotations.
    """
    found = []
    for batch in batches:
        boxes, scores, classes, counts = (np.asarray(part) for part in detect(batch))
        for image, count in enumerate(counts.astype(int)):
            found.append(Found(boxes[image, :count], scores[image, :count], classes[image, :count].astype(int)))
    return found


def scored(folder: Path, run: DetectionRunSettings, test: AnnotatedImages, command: Sequence[str]) -> dict[str, Any]:
    """Score the detector in `folder`, draw the sheet, export it unless it is not to be.

    Args:
        folder: of the detector; gets scores.json, scores.md, sheet.png and detector.tflite.
        run: what to export and to draw.
        test: the test images.
        command: the command line to name in the report.

    Returns:
        What scores.json holds.
    """
    path = folder / SCORES_FILE
    key = {
        "detector": fingerprint(folder / DETECTOR_WEIGHTS_FILE),
        "test_images": f"{test.source.fingerprint} {fingerprint_of(test)}",
    }
    finish_set(folder / TFLITE_FILE)
    before = _scored_before(path, key)
    of_file = _of_file(folder, before, run)
    if before and (of_file or not run.export) and _has_sheet(folder, before, run.sheet_images):
        console.print(f"scored before: {path}", markup=False)
        return before
    detector, _ = load_detector(folder)
    check_classes(detector.spec.class_names, test.annotations.class_names)
    spec = detector.spec.backbone
    images = evaluation_batches(test, image_size=spec.image_size, channels=spec.channels)
    console.print(f"scoring {test.source.num_examples} test images …")
    with readable_data_errors():
        found = objects_in_images(detector_function(detector.model, detector.grid), images.as_numpy_iterator())
    scores = score(test.annotations, found)
    console.print(f"Keras: {scores}")
    if run.sheet_images:
        shown = list(images.unbatch().take(run.sheet_images).as_numpy_iterator())
        write_sheet(folder / SHEET_FILE, shown, found, test.annotations)
        console.print(f"test images with boxes: {folder / SHEET_FILE}", markup=False)
    result: dict[str, Any] = {
        "key": key | {"input_type": "", "sheet_images": run.sheet_images},
        "command": shlex.join(command),
        "date": time.strftime("%Y-%m-%d"),
        "test_data": test.source.name,
        "keras": scores.as_dict(),
    }
    if of_file:
        result |= of_file
        result["key"]["input_type"] = before["key"]["input_type"]
    _write(folder, result)  # before the export, which may fail
    if run.export and not of_file:
        exported = export_detector(
            detector, folder / TFLITE_FILE, test, images, scores, run.input_type, command, objects_in_images
        )
        result |= exported
        result["key"]["input_type"] = run.input_type
        _write(folder, result)
    return result


def _scored_before(path: Path, key: dict[str, str]) -> dict[str, Any]:
    """What scores.json holds of these weights and test images; {} if nothing."""
    saved = _read_scores(path) if path.exists() else {"key": {}}
    return saved if key.items() <= saved["key"].items() else {}


def _of_file(folder: Path, before: dict[str, Any], run: DetectionRunSettings) -> dict[str, Any]:
    """What was found of detector.tflite, if it is there and of the type that is asked for."""
    if "tflite" not in before or not (folder / TFLITE_FILE).exists():
        return {}
    if run.export and before["key"].get("input_type") != run.input_type:
        return {}
    return {part: before[part] for part in PARTS_OF_FILE}


def _has_sheet(folder: Path, before: dict[str, Any], images: int) -> bool:
    drawn = before["key"].get("sheet_images", images)  # was not written down at first
    return not images or (drawn == images and (folder / SHEET_FILE).exists())


def check_classes(learned: Sequence[str], tested: Sequence[str]) -> None:
    """Raises ConfigError where training and test images have other classes, or the same in another order."""
    if tuple(learned) != tuple(tested):
        raise ConfigError(
            f"training and test images have other classes: {', '.join(learned)}; {', '.join(tested)}. Give annotations "
            "that list the same categories."
        )


def _write(folder: Path, result: dict[str, Any]) -> None:
    write_json(folder / SCORES_FILE, result)
    write_text(folder / TABLE_FILE, tables(result))


def _read_scores(path: Path) -> dict[str, Any]:
    """What `scored` wrote.

    Raises:
        UserError: it is damaged, or a part is missing; names it.
    """
    remedy = "delete it, and the same command scores the detector again"
    saved = read_json(path, dict, remedy)
    parts = ("key", "keras", *(PARTS_OF_FILE if "tflite" in saved else ()))
    for part in parts:
        if not isinstance(saved.get(part), dict):
            raise UserError(f"{path}: {part} cannot be {str(saved.get(part))[:40]!r}: {remedy}.")
    return saved


def fingerprint_of(test: AnnotatedImages) -> str:
    """Changes with boxes and classes."""
    annotations = test.annotations
    digest = hashlib.sha256(encoded(" ".join(annotations.class_names)))
    parts = (annotations.boxes, annotations.classes, annotations.ignored, annotations.crowds, annotations.areas)
    for part in (*parts, annotations.starts):
        digest.update(part.tobytes())
    return digest.hexdigest()[:16]


def tables(result: dict[str, Any]) -> str:
    """Scores in per cent as Markdown: Keras and the file, then each class."""
    networks = {"Keras": result["keras"]} | ({"file, LCE": result["tflite"]} if "tflite" in result else {})
    names = [name for name, key in COLUMNS.items() if result["keras"][key] is not None]
    head: Table = [("detector", *(f"{name} %" for name in names), "images", "objects")]
    for network, scores in networks.items():
        cells = (per_cent(scores[COLUMNS[name]]) for name in names)
        head.append((network, *cells, str(scores["images"]), str(scores["objects"])))
    classes: Table = [("class", "AP %", "AP50 %", "VOC AP50 %", "objects")]
    for each in result["keras"]["by_class"]:
        cells = (per_cent(each[key]) for key in ("ap", "ap50", "voc_ap50"))
        classes.append((each["name"], *cells, str(each["objects"])))
    return f"{markdown(head)}\n{markdown(classes)}\n`{result['command']}`, {result['date']}, {result['test_data']}.\n"


def per_cent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
