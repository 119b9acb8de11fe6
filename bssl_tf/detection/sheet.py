"""A picture of test images with boxes: what was found, what was missed, what is wrong."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bssl_tf.detection.annotations import Annotations
from bssl_tf.detection.scores import Found
from bssl_tf.files import write_bytes

RIGHT, MISSED, WRONG = (40, 180, 60), (255, 170, 0), (230, 40, 40)
SHOWN_SCORE, MATCH_IOU = 0.3, 0.5
_TILE, _MARGIN, _LEGEND = 256, 6, 22
_LEAST_SCORE_TEXT = f"score {SHOWN_SCORE} or more, IoU {MATCH_IOU}"


@dataclass(frozen=True)
class Judged:
    """Boxes of one image, as places in the detections and in the objects.

    Attributes:
        right: detections that match an object of their class.
        wrong: detections that match none.
        missed: objects that no detection matches.
    """

    right: list[int]
    wrong: list[int]
    missed: list[int]


def judge(found: Found, boxes: np.ndarray, classes: np.ndarray, ignored: np.ndarray, crowds: np.ndarray) -> Judged:
    """Match detections with a score of `SHOWN_SCORE` or more, the surest first, each to the best free object.

    Those that match none but overlap an ignored object of their class are neither right nor wrong: by their IoU, or,
    of a crowd, by the share of the detection that lies in it.
    """
    right, wrong, free = [], [], {n for n in range(len(boxes)) if not ignored[n]}
    for place in np.argsort(-found.scores, kind="stable"):
        if found.scores[place] < SHOWN_SCORE:
            break
        fitting = {n: _overlap(found.boxes[place], boxes[n]) for n in free if classes[n] == found.classes[place]}
        best = max(fitting, key=lambda n: fitting[n], default=None)
        if best is not None and fitting[best] >= MATCH_IOU:
            free.discard(best)
            right.append(int(place))
        elif not any(
            ignored[n]
            and classes[n] == found.classes[place]
            and _overlap(found.boxes[place], boxes[n], crowds[n]) >= MATCH_IOU
            for n in range(len(boxes))
        ):
            wrong.append(int(place))
    return Judged(right, wrong, sorted(free))


def write_sheet(
    path: Path, images: Sequence[np.ndarray], found: Sequence[Found], annotations: Annotations, columns: int = 4
) -> None:
    """Write a PNG: right boxes green, missed objects orange, wrong boxes red, with class and score.

    Args:
        path: of the picture.
        images: uint8 (S, S, C), the first ones that `annotations` are of.
        found: of these images.
        annotations: of all images.
        columns: images in a row.
    """
    rows, across = -(-len(images) // columns), _TILE + _MARGIN
    sheet = Image.new("RGB", (columns * across + _MARGIN, rows * across + _MARGIN + _LEGEND), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    left = _MARGIN
    for text, colour in (("right", RIGHT), ("missed", MISSED), ("wrong", WRONG), (_LEAST_SCORE_TEXT, (90, 90, 90))):
        draw.text((left, 4), text, colour, font)
        left += int(draw.textlength(text, font)) + 18
    for number, image in enumerate(images):
        tile = _tile(image, found[number], annotations, number)
        sheet.paste(tile, (_MARGIN + number % columns * across, _LEGEND + number // columns * across))
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    write_bytes(path, content.getvalue())


def _tile(image: np.ndarray, found: Found, annotations: Annotations, number: int) -> Image.Image:
    pixels = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    tile = Image.fromarray(pixels).resize((_TILE, _TILE), Image.Resampling.BILINEAR)
    draw, font, names = ImageDraw.Draw(tile), ImageFont.load_default(11), annotations.class_names
    boxes, classes, ignored = annotations.of_image(number)
    judged = judge(found, boxes, classes, ignored, annotations.crowds[annotations.rows_of(number)])
    drawn = [(boxes[n], MISSED, names[classes[n]]) for n in judged.missed]
    for places, colour in ((judged.wrong, WRONG), (judged.right, RIGHT)):
        drawn += [(found.boxes[n], colour, f"{names[found.classes[n]]} {found.scores[n]:.2f}") for n in places]
    for box, colour, text in drawn:
        top, left, bottom, right = (box * (_TILE - 1)).tolist()
        draw.rectangle([left, top, max(left, right), max(top, bottom)], outline=colour, width=2)
        place = min(left + 2, _TILE - draw.textlength(text, font) - 2), max(top - 13, 0)
        draw.rectangle(draw.textbbox(place, text, font), fill=colour)
        draw.text(place, text, (255, 255, 255), font)
    return tile


def _overlap(found: np.ndarray, box: np.ndarray, crowd: bool = False) -> float:
    """IoU; of a crowd, the share of what was found that lies in it."""
    common = float(np.prod(np.maximum(np.minimum(found[2:], box[2:]) - np.maximum(found[:2], box[:2]), 0)))
    own, other = (float(np.prod(each[2:] - each[:2])) for each in (found, box))
    return common / max(own if crowd else own + other - common, 1e-12)
