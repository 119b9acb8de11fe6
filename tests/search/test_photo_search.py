from importlib.util import find_spec

import pytest

from bssl_tf.search.photo_search import find_alike, summary_of

pytestmark = pytest.mark.skipif(find_spec("faiss") is None, reason="Faiss is not installed (the extra `search`)")


def test_a_query_among_the_photos_finds_others(index, model, folder, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes((folder / "02.png").read_bytes())
    rows = find_alike(index, model, folder, [folder / "02.png", copy], hits=3)
    assert [row.title for row in rows] == ["cosine", "codes"] * 2 and all(len(row.hits) == 3 for row in rows)
    assert all(file != folder / "02.png" for row in rows[:2] for file, _ in row.hits)
    assert rows[2].hits[0] == (folder / "02.png", "1.000") and rows[3].hits[0] == (folder / "02.png", "0 bits")


def test_the_summary_counts_photos_and_bytes(index):
    first, recall = summary_of(index)
    assert first == "12 photos, 24 features each; as floats 96 bytes a photo, as codes 3"
    assert recall.startswith("recall@1 of 1-bit codes against exact cosine: ")
