"""A picture of what the networks will see: images beside the views that training draws of them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bssl_tf.config.training import ViewSettings
from bssl_tf.data.augmentation.randomness import VIEWS, epoch_key, image_key
from bssl_tf.data.augmentation.views import draw_views, views_of_image
from bssl_tf.data.framing import centre, to_channels
from bssl_tf.data.sources.base import Source, readable_data_errors
from bssl_tf.files import write_bytes

_SMALLEST_TILE = 112
_GAP = 8
_TITLE_HEIGHT = 20


def write_preview(
    path: Path,
    source: Source,
    *,
    image_size: int,
    channels: int,
    views: ViewSettings,
    seed: int,
    rows: int = 8,
    epochs: int = 3,
    num_views: int = 2,
) -> None:
    """Write a contact sheet: a row an image, with the image itself and its views in the first epochs.

    Args:
        path: PNG file to write.
        source: where the images come from; the first ``rows`` are shown.
        image_size: as for training, like the next three, so that the sheet shows the very views of training.
        channels: 1 or 3.
        views: augmentation.
        seed: of the views.
        rows: images to show.
        epochs: epochs to show.
        num_views: views of an image in an epoch.
    """
    titles = ["original"] + [f"epoch {e + 1}, view {v + 1}" for e in range(epochs) for v in range(num_views)]
    grid = []
    with readable_data_errors():
        for example in source.examples().take(rows):
            image = to_channels(source.decode(example["record"], short_side=2 * image_size), channels)
            grid.append([centre(image, image_size).numpy()])
            for epoch in range(epochs):
                draws = draw_views(image_key(epoch_key(seed, epoch, VIEWS), example["id"]), num_views)
                grid[-1].extend(view.numpy() for view in views_of_image(image, draws, image_size, views))
    content = io.BytesIO()
    contact_sheet(grid, titles).save(content, format="PNG")
    write_bytes(path, content.getvalue())


def contact_sheet(
    grid: list[list[np.ndarray]], titles: list[str], frames: list[list[str | None]] | None = None
) -> Image.Image:
    """Images in rows and columns, small ones enlarged.

    Args:
        grid: rows of uint8 images, all of one size.
        titles: of the columns.
        frames: colour of the frame around each image, None for no frame.
    """
    size = grid[0][0].shape[0]
    tile = size * max(1, -(-_SMALLEST_TILE // size))
    step = tile + _GAP
    sheet = Image.new("RGB", (step * len(titles) + _GAP, step * len(grid) + _GAP + _TITLE_HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for column, title in enumerate(titles):
        pen.text((_GAP + column * step, 3), title, fill="black", font=font)
        for row, tiles in enumerate(grid):
            picture = Image.fromarray(tiles[column].squeeze()).convert("RGB")
            picture = picture.resize((tile, tile), Image.Resampling.NEAREST)
            left, top = _GAP + column * step, _TITLE_HEIGHT + _GAP + row * step
            if frames and frames[row][column]:
                pen.rectangle((left - 3, top - 3, left + tile + 2, top + tile + 2), fill=frames[row][column])
            sheet.paste(picture, (left, top))
    return sheet
