"""A picture of what a search has found: a row a search, the query at its left, hits with their scores."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bssl_tf.data.sources.image_files import UnreadableImage, read_image
from bssl_tf.files import write_bytes

_MARGIN, _CAPTION = 6, 16
_BACKGROUND, _INK, _MISSING = (255, 255, 255), (40, 40, 40), (220, 220, 220)


@dataclass(frozen=True)
class Row:
    """A search: the query's file, what was compared, and the hits' files with their scores as text."""

    query: Path
    title: str
    hits: Sequence[tuple[Path, str]]


def write_contact_sheet(path: Path, rows: Sequence[Row], thumbnail: int = 72) -> None:
    """Write a PNG or JPEG picture; an image that cannot be read any more is a grey square."""
    columns = 1 + max(len(row.hits) for row in rows)
    across, down = thumbnail + _MARGIN, thumbnail + _CAPTION + _MARGIN
    sheet = Image.new("RGB", (columns * across + 3 * _MARGIN, len(rows) * down + _MARGIN), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for line, row in enumerate(rows):
        for column, (file, caption) in enumerate([(row.query, row.title), *row.hits]):
            left = _MARGIN + column * across + (2 * _MARGIN if column else 0)  # a gap behind the query
            top = _MARGIN + line * down
            sheet.paste(_thumbnail(file, thumbnail), (left, top))
            draw.text((left, top + thumbnail + 1), caption, _INK, font)
    content = io.BytesIO()
    sheet.save(content, "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG", optimize=True)
    write_bytes(path, content.getvalue())


def _thumbnail(file: Path, size: int) -> Image.Image:
    try:
        pixels = read_image(file, 3, short_side=size)
    except UnreadableImage:
        return Image.new("RGB", (size, size), _MISSING)
    image = Image.fromarray(pixels)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    smooth = Image.Resampling.BICUBIC if side >= size else Image.Resampling.NEAREST
    return image.crop((left, top, left + side, top + side)).resize((size, size), smooth)
