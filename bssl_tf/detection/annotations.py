"""Boxes and classes of a data set's images, cleaned: whatever cannot be used is counted and named."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bssl_tf.data.sources.base import DataError, Source

_NAMED = 5


@dataclass(frozen=True)
class RawImage:
    """An image's annotations as a file has them.

    Attributes:
        name: of the image, for messages.
        height, width: in pixels.
        boxes: (k, 4) of (y0, x0, y1, x1) in pixels.
        classes: (k,) places in the list of classes; -1: of a class that is not in the list.
        ignored: (k,) bool: "difficult" of VOC, "crowd" of COCO: neither learned nor scored.
        crowds: (k,) bool: those of the ignored that are regions with many objects; None: none of them.
        areas: (k,) of the objects themselves in pixels, which are less than their boxes; nan: not known; None: none is.
    """

    name: str
    height: int
    width: int
    boxes: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    crowds: np.ndarray | None = None
    areas: np.ndarray | None = None


@dataclass
class AnnotationReport:
    """What was found. `problems` maps what was wrong to the names of the images where it was, one name a case."""

    name: str
    images: int = 0
    objects: int = 0
    ignored_objects: int = 0
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, problem: str, name: str) -> None:
        self.problems.setdefault(problem, []).append(name)

    def count(self, problem: str) -> int:
        return len(self.problems.get(problem, ()))

    def text(self) -> str:
        """For people: totals, then each problem with its count and the first images. No markup."""
        crowds = f", {self.ignored_objects} of them difficult or crowds (not learned, not scored)"
        lines = [f"{self.name}: {self.images} images, {self.objects} objects" + crowds * bool(self.ignored_objects)]
        for problem, names in self.problems.items():
            distinct = list(dict.fromkeys(names))
            more = f" and {len(distinct) - _NAMED} more" if len(distinct) > _NAMED else ""
            lines.append(f"  {len(names)} × {problem}: {', '.join(distinct[:_NAMED])}{more}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Annotations:
    """Annotations of all images, in the order of ``source.ids``; those of image i are rows starts[i] : starts[i + 1].

    Attributes:
        class_names: C names.
        boxes: (K, 4) float32, (y0, x0, y1, x1) as shares of height and width, inside the image, of some area.
        classes: (K,) int64 in 0 … C-1.
        ignored, crowds: (K,) bool, see `RawImage`.
        areas: (K,) float64, in pixels of the original images.
        starts: (n + 1,) int64.
        sizes: (n, 2) int64, height and width in pixels.
        report: what was found and left out.
    """

    class_names: tuple[str, ...]
    boxes: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    crowds: np.ndarray
    areas: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    report: AnnotationReport

    @property
    def num_images(self) -> int:
        return len(self.sizes)

    def rows_of(self, image: int) -> slice:
        """Rows of one image."""
        return slice(self.starts[image], self.starts[image + 1])

    def of_image(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes, classes and ignored of one image."""
        rows = self.rows_of(index)
        return self.boxes[rows], self.classes[rows], self.ignored[rows]

    @property
    def most_objects(self) -> int:
        """M, the most that are learned in one image."""
        images = np.repeat(np.arange(self.num_images), np.diff(self.starts))
        return int(np.bincount(images[~self.ignored], minlength=self.num_images).max(initial=0))

    def labels(self) -> np.ndarray:
        """(n, C) bool: which classes an image shows, ignored objects left out."""
        images = np.repeat(np.arange(self.num_images), np.diff(self.starts))
        labels = np.zeros((self.num_images, len(self.class_names)), bool)
        labels[images[~self.ignored], self.classes[~self.ignored]] = True
        return labels


@dataclass(frozen=True)
class AnnotatedImages:
    """Images and their annotations, in the same order."""

    source: Source
    annotations: Annotations


def clean(
    class_names: Sequence[str], images: Sequence[RawImage], report: AnnotationReport, flag: str = "--dataset"
) -> Annotations:
    """Cut boxes at the image's edge, leave out what is no box of a class, count and name each case in `report`.

    Raises:
        DataError: there is no class, no image, or no object that can be learned.
    """
    kept = [_clean_image(image, report) for image in images]
    boxes = [good.boxes / [good.height, good.width, good.height, good.width] for good in kept]

    def joined(name: str, kind: type) -> np.ndarray:
        return np.concatenate([np.zeros(0), *(getattr(good, name) for good in kept)]).astype(kind)

    cleaned = Annotations(
        class_names=tuple(class_names),
        boxes=np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32),
        classes=joined("classes", np.int64),
        ignored=joined("ignored", bool),
        crowds=joined("crowds", bool),
        areas=joined("areas", np.float64),
        starts=np.concatenate([[0], np.cumsum([len(good.classes) for good in kept])]).astype(np.int64),
        sizes=np.array([(image.height, image.width) for image in images], np.int64).reshape(-1, 2),
        report=report,
    )
    report.images, report.objects = len(images), len(cleaned.classes)
    report.ignored_objects = int(cleaned.ignored.sum())
    if report.objects == report.ignored_objects:
        raise DataError(
            f"{flag}: there is nothing to learn from.\n{report.text()}\n"
            "Give images with boxes of the classes that the annotations list, or another split."
        )
    return cleaned


def _clean_image(image: RawImage, report: AnnotationReport) -> RawImage:
    limits = np.array([image.height, image.width] * 2, np.float64)
    boxes = np.asarray(image.boxes, np.float64).reshape(-1, 4)
    finite = np.isfinite(boxes).all(axis=1)
    boxes = np.where(finite[:, np.newaxis], boxes, 0.0)
    empty = ~finite | (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    outside = ~empty & ((boxes[:, 2:] <= 0) | (boxes[:, :2] >= limits[:2])).any(axis=1)
    inside = np.clip(boxes, 0, limits)
    cut = ~empty & ~outside & (np.abs(inside - boxes) > 1.0).any(axis=1)  # a pixel is a matter of counting from 0 or 1
    unknown = np.asarray(image.classes) < 0
    problems = {
        "boxes without area (left out)": empty,
        "boxes outside of their image (left out)": outside,
        "boxes cut at the image's edge": cut & ~unknown,
        "objects of an unknown class (left out)": ~empty & ~outside & unknown,
    }
    for problem, places in problems.items():
        for _ in range(int(places.sum())):
            report.add(problem, image.name)
    kept = ~(empty | outside | unknown)
    if not kept.any():
        report.add("images without objects (kept: all of them is background)", image.name)
    areas = np.full(len(boxes), np.nan) if image.areas is None else np.asarray(image.areas, np.float64)
    areas = np.where(np.isnan(areas), np.prod(inside[:, 2:] - inside[:, :2], axis=1), areas)
    crowds = np.zeros(len(boxes), bool) if image.crowds is None else np.asarray(image.crowds, bool)
    return RawImage(
        image.name,
        image.height,
        image.width,
        inside[kept],
        np.asarray(image.classes)[kept],
        np.asarray(image.ignored, bool)[kept],
        crowds[kept],
        areas[kept],
    )
