"""Average precision as COCO and VOC define it, by `pycocotools`.

COCO's AP is the mean over the IoU thresholds 0.50, 0.55, … 0.95 and over the classes, precision being read at 101
recalls; at most 100 detections an image count. VOC's is that of IoU 0.5 at 11 recalls (0, 0.1, … 1), as the benchmark
of 2007 has it. Two details of VOC's own program are those of COCO here: a detection may match any free object of
enough overlap, not only the nearest, and a box that is 10 pixels wide is 10, not 11. Difficult objects and crowds are
neither hits nor misses, and any number of detections may match them: a crowd those that lie in it by the share of the
IoU threshold, a difficult object those that overlap it as any other.
"""

import contextlib
import copy
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bssl_tf.detection.annotations import Annotations
from bssl_tf.detection.postprocessing import MOST_DETECTIONS
from bssl_tf.errors import UserError

SIZES = ("all", "small", "medium", "large")
"""COCO's: areas below 32², below 96², and above, in pixels of the original image; of the object where the annotations
say it, else of its box."""


@dataclass(frozen=True)
class Found:
    """Objects found in one image, as arrays.

    Attributes:
        boxes: (k, 4), (y0, x0, y1, x1) in shares of height and width.
        scores: (k,).
        classes: (k,) whole numbers.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class in 0..1; None where the test images have no such object."""

    name: str
    objects: int
    ap: float | None
    ap50: float | None
    voc_ap50: float | None


@dataclass(frozen=True)
class DetectionScores:
    """Attributes, all in 0..1; None where there are no objects of that size.

    ap, ap50, ap75: COCO's.
    ap_small, ap_medium, ap_large: AP by size of the objects.
    voc_ap50: at 11 recalls.
    by_class: of each class.
    images, objects: that were scored, without ignored objects.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    voc_ap50: float | None
    by_class: tuple[ClassScores, ...]
    images: int
    objects: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        names = {"AP": self.ap, "AP50": self.ap50, "AP75": self.ap75, "VOC AP50": self.voc_ap50}
        names |= {f"AP {size}": getattr(self, f"ap_{size}") for size in SIZES[1:]}
        return " · ".join(f"{name} {100 * value:.1f}" for name, value in names.items() if value is not None)


def score(annotations: Annotations, found: Sequence[Found]) -> DetectionScores:
    """Score detections against annotations.

    Args:
        annotations: of the test images.
        found: of each image, in the same order.

    Raises:
        UserError: `pycocotools` is not installed.
        ValueError: another number of images.
    """
    if len(found) != annotations.num_images:
        raise ValueError(f"{annotations.num_images} images are annotated, detections are of {len(found)}.")
    evaluator = _evaluated(annotations, found)
    evaluator.accumulate()
    precision = evaluator.eval["precision"][..., -1]  # (IoU, recall, class, size), at most 100 detections
    eleven = copy.deepcopy(evaluator.params)
    eleven.recThrs = np.arange(11) / 10 - 1e-9  # 3 / 10 of a recall may be computed a bit lower than 0.3
    evaluator.accumulate(eleven)
    voc = evaluator.eval["precision"][0, :, :, 0, -1]  # at IoU 0.5
    counts = np.bincount(annotations.classes[~annotations.ignored], minlength=len(annotations.class_names))
    by_class = tuple(
        ClassScores(
            name,
            int(counts[place]),
            _mean(precision[:, :, place, 0]),
            _mean(precision[0, :, place, 0]),
            _mean(voc[:, place]),
        )
        for place, name in enumerate(annotations.class_names)
    )
    by_size = [_mean(precision[..., place]) for place in range(len(SIZES))]
    return DetectionScores(
        ap=by_size[0],
        ap50=_mean(precision[0, ..., 0]),
        ap75=_mean(precision[5, ..., 0]),
        ap_small=by_size[1],
        ap_medium=by_size[2],
        ap_large=by_size[3],
        voc_ap50=_mean(voc),
        by_class=by_class,
        images=annotations.num_images,
        objects=int(counts.sum()),
    )


def _mean(precision: np.ndarray) -> float | None:
    """Pycocotools marks classes and sizes without objects by -1."""
    existing = precision[precision > -1]
    return float(existing.mean()) if existing.size else None


def require_library() -> None:
    """Raises UserError where `pycocotools` is missing: to be known before training, not after."""
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError:
        raise UserError(
            "Scoring detections takes pycocotools, which is not installed: pip install 'bssl_tf[detection]'."
        ) from None


def _evaluated(annotations: Annotations, found: Sequence[Found]) -> "_Quiet":
    require_library()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    class Evaluator(COCOeval):
        """All ignored objects are crowds to it, whose overlap is measured otherwise; not so that of difficult ones."""

        def computeIoU(self, image: int, category: int) -> Any:
            objects = self._gts[image, category]
            for each in objects:
                each["iscrowd"] = each["is_region"]
            overlaps = super().computeIoU(image, category)
            for each in objects:
                each["iscrowd"] = each["ignore"]
            return overlaps

    with contextlib.redirect_stdout(io.StringIO()):  # it prints at every step
        truth = COCO()
        truth.dataset = _as_coco(annotations)
        truth.createIndex()
        rows = _rows(annotations, found)
        result = truth.loadRes(rows) if len(rows) else _nothing(truth)
        evaluator = Evaluator(truth, result, "bbox")
        evaluator.params.maxDets = [1, 10, MOST_DETECTIONS]
        evaluator.evaluate()
    return _Quiet(evaluator)


class _Quiet:
    """An evaluator that does not print."""

    def __init__(self, evaluator: Any) -> None:
        self._evaluator = evaluator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    def accumulate(self, *arguments: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._evaluator.accumulate(*arguments)


def _nothing(truth: Any) -> Any:
    from pycocotools.coco import COCO

    result = COCO()
    result.dataset = truth.dataset | {"annotations": []}
    result.createIndex()
    return result


def _as_coco(annotations: Annotations) -> dict[str, Any]:
    objects: list[dict[str, Any]] = []
    for image in range(annotations.num_images):
        rows = annotations.rows_of(image)
        parts = (annotations.classes, annotations.ignored, annotations.crowds, annotations.areas)
        corners = _corners(annotations.boxes[rows], annotations.sizes[image])
        for box, label, ignored, crowd, area in zip(corners, *(part[rows] for part in parts), strict=True):
            objects.append(
                {
                    "id": len(objects) + 1,  # 0 would count as no match
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": box.tolist(),
                    "area": float(area),
                    "iscrowd": int(ignored),
                    "ignore": int(ignored),
                    "is_region": int(crowd),
                }
            )
    return {
        "images": [
            {"id": number, "height": int(height), "width": int(width)}
            for number, (height, width) in enumerate(annotations.sizes)
        ],
        "categories": [{"id": place, "name": name} for place, name in enumerate(annotations.class_names)],
        "annotations": objects,
    }


def _rows(annotations: Annotations, found: Sequence[Found]) -> np.ndarray:
    """(N, 7): image, x, y, width, height, score, class."""
    rows = []
    for image, each in enumerate(found):
        corners = _corners(each.boxes, annotations.sizes[image])
        rows.append(np.column_stack([np.full(len(each.scores), image), corners, each.scores, each.classes]))
    return np.concatenate(rows).astype(np.float64)


def _corners(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(k, 4) of (x, y, width, height) in pixels of the original image."""
    top, left, bottom, right = (np.asarray(boxes, np.float64).reshape(-1, 4) * np.tile(size, 2)).T
    return np.stack([left, top, right - left, bottom - top], axis=1)
