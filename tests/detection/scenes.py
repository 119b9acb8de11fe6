"""Small annotated data for the tests: bright rectangles on noise, made from real code paths."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.detection.annotations import AnnotatedImages, AnnotationReport, RawImage, clean

SIZE = 64


def rectangles(count: int, seed: int = 0, size: int = SIZE) -> AnnotatedImages:
    """Grey images of 0 to 3 rectangles of two classes: upright and lying."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 40, (count, size, size, 1)).astype(np.uint8)
    raw = []
    for number in range(count):
        boxes, classes = [], []
        for _ in range(random.integers(0, 4)):
            label = int(random.integers(2))
            height, width = (24, 14) if label == 0 else (14, 24)
            top, left = random.integers(size - height), random.integers(size - width)
            images[number, top : top + height, left : left + width] = 150 + 100 * label
            boxes.append([top, left, top + height, left + width])
            classes.append(label)
        boxes = np.array(boxes, np.float64).reshape(-1, 4)
        raw.append(RawImage(f"image {number}", size, size, boxes, np.array(classes, int), np.zeros(len(classes), bool)))
    source = ArraySource("rectangles", images)
    return AnnotatedImages(source, clean(("upright", "lying"), raw, AnnotationReport("rectangles")))


def write_coco(root: Path, data: AnnotatedImages) -> str:
    """The same as files in COCO's form: root/annotations.json and root/images/N.png; returns ``coco:…``."""
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, example in enumerate(data.source.examples().as_numpy_iterator()):
        pixels = data.source.decode(example["record"]).numpy()[..., 0]
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        images.append(dict(id=number, file_name=f"{number}.png"))
        boxes, classes, _ = data.annotations.of_image(number)
        for (top, left, bottom, right), label in zip((boxes * len(pixels)).tolist(), classes.tolist(), strict=True):
            box = [left, top, right - left, bottom - top]
            annotations.append(dict(image_id=number, category_id=label, bbox=box))
    categories = [dict(id=label, name=name) for label, name in enumerate(data.annotations.class_names)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / "annotations.json").write_text(json.dumps(content))
    return f"coco:{root / 'annotations.json'},{root / 'images'}"
