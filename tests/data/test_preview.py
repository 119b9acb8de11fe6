import numpy as np
import pytest
from PIL import Image

from bssl_tf.config.training import ViewSettings
from bssl_tf.data import training_views, write_preview
from bssl_tf.data.preview import _GAP, _SMALLEST_TILE, _TITLE_HEIGHT
from bssl_tf.data.sources import folder


@pytest.mark.parametrize("channels", [1, 3])
def test_sheet_has_a_row_an_image_and_shows_other_views_each_epoch(colour_source, tmp_path, channels):
    path = tmp_path / "views.png"
    write_preview(path, colour_source, image_size=28, channels=channels, views=ViewSettings(), seed=0, rows=3, epochs=2)
    sheet = np.asarray(Image.open(path))
    step = _SMALLEST_TILE + _GAP
    assert sheet.shape == (3 * step + _GAP + _TITLE_HEIGHT, 5 * step + _GAP, 3)
    tops = [_TITLE_HEIGHT + _GAP + row * step for row in range(3)]
    lefts = [_GAP + column * step for column in range(5)]
    size = _SMALLEST_TILE
    tiles = {sheet[top : top + size, left : left + size].tobytes() for top in tops for left in lefts}
    assert len(tiles) == 15


def test_sheet_of_photos_from_a_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, size in enumerate([(40, 30), (50, 80)]):
        Image.new("RGB", size, (60 * number, 90, 200)).save(tmp_path / "photos" / f"{number}.png")
    source = folder.load(tmp_path / "photos", "train", holdout=0.001)
    write_preview(tmp_path / "views.png", source, image_size=16, channels=3, views=ViewSettings(), seed=0, rows=2)
    assert np.asarray(Image.open(tmp_path / "views.png")).std() > 0


def test_sheet_shows_the_views_of_training(colour_source, tmp_path):
    arguments = dict(image_size=32, channels=3, views=ViewSettings(), seed=4)
    write_preview(tmp_path / "views.png", colour_source, **arguments, rows=20, epochs=1)
    sheet = np.asarray(Image.open(tmp_path / "views.png"))
    tile = 4 * 32
    ((first, _),) = next(iter(training_views(colour_source, **arguments, batch_size=20, epochs=1)))
    trained = np.rint(first.numpy())
    tops = [_TITLE_HEIGHT + _GAP + row * (tile + _GAP) for row in range(20)]
    left = _GAP + tile + _GAP
    for top in tops:  # a crop's pixel may be rounded the other way outside of a graph
        shown = sheet[top : top + tile : 4, left : left + tile : 4].astype(int)
        assert np.abs(trained - shown).max(axis=(1, 2, 3)).min() <= 4
