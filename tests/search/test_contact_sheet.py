import numpy as np
import pytest
from PIL import Image

from bssl_tf.cli.index import _check_sheet
from bssl_tf.errors import ConfigError
from bssl_tf.search.contact_sheet import Row, write_contact_sheet


def test_contact_sheet_shows_queries_and_hits(tmp_path, folder):
    rows = [Row(folder / "00.png", "codes", [(folder / "02.png", "3 bits"), (folder / "gone.png", "9 bits")])] * 2
    write_contact_sheet(tmp_path / "sheet.png", rows, thumbnail=32)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 38 + 18, 2 * 54 + 6)
        query = np.asarray(Image.open(folder / "00.png").resize((32, 32), Image.Resampling.NEAREST))
        assert np.array_equal(np.asarray(sheet)[6:38, 6:38], query)
        assert (np.asarray(sheet)[6:38, 6 + 2 * 38 + 12 : 6 + 2 * 38 + 44] == 220).all()  # a photo that has gone


def test_a_sheet_replaces_no_photo(tmp_path, folder):
    query = tmp_path / "query.png"
    query.touch()
    for sheet in (folder / "00.png", folder / "new.png", query):
        with pytest.raises(ConfigError, match=f"^--sheet={sheet} .*write it elsewhere"):
            _check_sheet(sheet, folder, [query])
    _check_sheet(tmp_path / "hits.png", folder, [query])
