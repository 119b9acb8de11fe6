"""Composes scenes of real Fashion-MNIST garments, with boxes and classes, and prepares them for TFDS.

    python -m bssl_tf.data.sources.prepare_scenes --data_dir=DIR

What it is: a substitute for detection data where VOC or COCO cannot be had. Every garment is a real image of
Fashion-MNIST, cut out, resized and pasted; the scenes are composed, and no photograph looks like them. What a detector
reaches on them says which backbone is better, not what it would reach on photos.

A scene is a grey canvas of 128 pixels with 1 to 6 garments of 24 to 64 pixels (the longer side of the tight box),
which overlap little, on clutter of small garment pieces. Garments of test scenes come from the test images of
Fashion-MNIST. ``tfds.load("fashion_scenes", data_dir=DIR)`` and ``--dataset=tfds:fashion_scenes --data_dir=DIR`` read
it; DIR must hold the prepared Fashion-MNIST, see `prepare_fashion_mnist`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import flags
from PIL import Image
from scipy.ndimage import binary_fill_holes

from bssl_tf.console import run_entry_point
from bssl_tf.data.sources.base import DataError

CANVAS = 128
OBJECTS = (1, 6)
SIZES = (24, 64)
LARGEST_OVERLAP = 0.15
"""Of two boxes: their intersection as a share of the smaller one."""
PIECES = (8, 20)
PIECE_SIZES = (6, 16)
_TRIES = 40
_CLOTH = 8  # darker pixels of Fashion-MNIST are background
_SPLIT_NUMBERS = {"train": 0, "test": 1}


class FashionScenes(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Garments of Fashion-MNIST composed to scenes. Features as VOC's in TFDS."""

    name = "fashion_scenes"
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, data_dir: str, train_scenes: int, test_scenes: int, seed: int):
        self._counts, self._seed = {"train": train_scenes, "test": test_scenes}, seed
        self._garments_dir = data_dir
        super().__init__(data_dir=data_dir)

    @property
    def settings(self) -> dict[str, int]:
        return {"seed": self._seed, **{f"{split}_scenes": count for split, count in self._counts.items()}}

    def _info(self) -> tfds.core.DatasetInfo:
        names = _fashion_mnist(self._garments_dir).info.features["label"].names
        label = tfds.features.ClassLabel(names=names)
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(CANVAS, CANVAS, 1)),
                    "objects": tfds.features.Sequence({"bbox": tfds.features.BBoxFeature(), "label": label}),
                    "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=names)),
                }
            ),
            metadata=tfds.core.MetadataDict(self.settings),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        return {split: self._generate_examples(split, count) for split, count in self._counts.items()}

    def _generate_examples(self, split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        data = tfds.as_numpy(_fashion_mnist(self._garments_dir).as_dataset(split=split, batch_size=-1))
        images, labels = data["image"][..., 0], data["label"]
        for number in range(count):
            random = np.random.default_rng((self._seed, _SPLIT_NUMBERS[split], number))
            canvas, boxes, classes = compose(images, labels, random)
            objects = [
                {"bbox": tfds.features.BBox(*(box / CANVAS).tolist()), "label": int(label)}
                for box, label in zip(boxes, classes, strict=True)
            ]
            yield number, {"image": canvas[..., np.newaxis], "objects": objects, "labels": sorted(set(classes))}


def compose(
    images: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """One scene.

    Args:
        images: (n, 28, 28) uint8, garments on black.
        labels: (n,) their classes.
        random: of everything that is drawn.

    Returns:
        The canvas, uint8 (CANVAS, CANVAS); tight boxes, float64 (k, 4) of (y0, x0, y1, x1) in pixels; their k classes.
        A garment that finds no place is left out; there is always one.
    """
    canvas = np.full((CANVAS, CANVAS), random.uniform(10, 70))
    for _ in range(random.integers(*PIECES, endpoint=True)):
        _paste_piece(canvas, images[random.integers(len(images))], random)
    boxes: list[np.ndarray] = []
    classes: list[int] = []
    for _ in range(random.integers(*OBJECTS, endpoint=True)):
        place = random.integers(len(images))
        cloth, mask = _cut_out(images[place], random.integers(*SIZES, endpoint=True))
        box = _free_box(cloth.shape, boxes, random)
        if box is not None:
            _paste(canvas, cloth, mask, box[:2])
            boxes.append(box)
            classes.append(int(labels[place]))
    return np.clip(np.round(canvas), 0, 255).astype(np.uint8), np.array(boxes, np.float64), classes


def _cut_out(image: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A garment and its silhouette in 0..1, cropped tightly, the longer side of `size` pixels."""
    silhouette = binary_fill_holes(image > _CLOTH)
    rows, columns = np.flatnonzero(silhouette.any(1)), np.flatnonzero(silhouette.any(0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    height, width = silhouette[window].shape
    scale = size / max(height, width)
    target = max(1, round(width * scale)), max(1, round(height * scale))  # Pillow has the width first

    def resized(values: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(values.astype(np.float32))
        return np.asarray(picture.resize(target, Image.Resampling.BICUBIC))

    return np.clip(resized(image[window]), 0, 255), np.clip(resized(silhouette[window]), 0, 1)


def _free_box(shape: tuple[int, ...], boxes: list[np.ndarray], random: np.random.Generator) -> np.ndarray | None:
    """A place inside the canvas that overlaps no other box too much; None if none was found."""
    height, width = shape
    for _ in range(_TRIES):
        top, left = random.integers(CANVAS - height + 1), random.integers(CANVAS - width + 1)
        box = np.array([top, left, top + height, left + width], np.float64)
        if all(_overlap(box, other) <= LARGEST_OVERLAP for other in boxes):
            return box
    return None


def _overlap(box: np.ndarray, other: np.ndarray) -> float:
    height, width = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    smaller = min(np.prod(each[2:] - each[:2]) for each in (box, other))
    return max(height, 0) * max(width, 0) / smaller


def _paste(canvas: np.ndarray, cloth: np.ndarray, mask: np.ndarray, corner: np.ndarray) -> None:
    top, left = corner.astype(int)
    window = canvas[top : top + cloth.shape[0], left : left + cloth.shape[1]]
    window += mask * (cloth - window)


def _paste_piece(canvas: np.ndarray, image: np.ndarray, random: np.random.Generator) -> None:
    """A small square of a garment, at its own size and faded: texture of a garment, but no garment."""
    size = int(random.integers(*PIECE_SIZES, endpoint=True))
    top, left = random.integers(28 - size + 1, size=2)
    piece = image[top : top + size, left : left + size].astype(np.float64)
    if random.random() < 0.5:
        piece = piece.T
    mask = np.full_like(piece, random.uniform(0.3, 0.8))
    _paste(canvas, piece, mask, random.integers(CANVAS - size + 1, size=2))


def _fashion_mnist(data_dir: str) -> tfds.core.DatasetBuilder:
    builder = tfds.builder("fashion_mnist", data_dir=data_dir)
    if not builder.info.splits:
        raise DataError(
            f"--data_dir={data_dir} holds no prepared fashion_mnist, whose garments the scenes are made of. Prepare it "
            "first:\n    python -m bssl_tf.data.sources.prepare_fashion_mnist --source=FOLDER --data_dir=DIR"
        )
    return builder


def prepare(data_dir: Path, train_scenes: int, test_scenes: int, seed: int) -> tfds.core.DatasetBuilder:
    """Prepare the scenes, unless they already are.

    Raises:
        DataError: Fashion-MNIST is not prepared, or other scenes are.
    """
    builder = FashionScenes(data_dir=str(data_dir), train_scenes=train_scenes, test_scenes=test_scenes, seed=seed)
    if builder.info.splits:
        prepared = dict(tfds.builder("fashion_scenes", data_dir=str(data_dir)).info.metadata or {})
        if prepared != builder.settings:
            raise DataError(
                f"{builder.data_path} holds scenes made with other settings ({prepared}, requested "
                f"{builder.settings}): remove that folder, or use another --data_dir."
            )
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return builder


def main() -> None:
    """Entry point of ``python -m``."""
    builder = prepare(Path(_DATA_DIR.value).expanduser(), _TRAIN_SCENES.value, _TEST_SCENES.value, _SEED.value)
    sizes = ", ".join(f"{name}: {split.num_examples}" for name, split in builder.info.splits.items())
    print(f"{builder.data_path} is ready ({sizes}).")


if __name__ == "__main__":
    _DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps prepared data sets.", required=True)
    _TRAIN_SCENES = flags.DEFINE_integer("train_scenes", 2000, "Training scenes.", lower_bound=1)
    _TEST_SCENES = flags.DEFINE_integer("test_scenes", 500, "Test scenes.", lower_bound=1)
    _SEED = flags.DEFINE_integer("seed", 0, "Seed of the scenes.", lower_bound=0)
    run_entry_point(main, __doc__)
