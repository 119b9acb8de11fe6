"""Photos, their index, the map, neighbours, near-duplicates and outliers."""

import os

import numpy as np
import pytest

from bssl_tf.atlas import finding
from bssl_tf.atlas.indexing import open_index
from bssl_tf.atlas.layout import lay_out, nearest_others, open_layout
from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.errors import UserError
from tests.atlas.conftest import HOSTILE, PHOTOS, blobs


def test_only_photos_inside_of_the_folder_are_photos(photos):
    assert len(photos) == PHOTOS + 1 and HOSTILE in photos.paths
    reasons = dict(photos.report.skipped)
    assert set(reasons) == {"broken.png", "outside.png"}
    assert "outside of the folder" in reasons["outside.png"]


def test_a_photo_that_becomes_a_link_to_the_outside_is_not_given_out(tmp_path, digits):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes((digits.folder / "00000.png").read_bytes())
    photos = PhotoFolder(folder)
    assert photos.picture(0)[8:12] == b"WEBP"
    (folder / "a.png").unlink()
    (folder / "a.png").symlink_to("/etc/hostname")
    for give in (photos.file, photos.picture, photos.thumbnail):
        with pytest.raises(UserError, match="outside"):
            give(0)
    with pytest.raises(UserError, match="no photo 2"):
        photos.file(2)
    (folder / "b.png").unlink()
    assert photos.thumbnail(1)[8:12] == b"WEBP"  # grey
    with pytest.raises(UserError, match="cannot be read any more"):
        photos.picture(1)


def test_the_index_computes_only_what_is_new(tmp_path, digits):
    folder, session = tmp_path / "photos", tmp_path / "session"
    folder.mkdir()
    session.mkdir()
    content = [(digits.folder / f"{number:05}.png").read_bytes() for number in range(4)]
    for number in range(3):
        (folder / f"{number}.png").write_bytes(content[number])
    first = open_index(session, digits.model, PhotoFolder(folder))
    (folder / "0.png").unlink()
    (folder / "2.png").write_bytes(content[3])
    os.utime(folder / "2.png", (1, 1))
    (folder / "3.png").write_bytes(content[2])
    done = []
    second = open_index(session, digits.model, PhotoFolder(folder), done.append)
    assert done == [1, 3]  # 1.png was there
    np.testing.assert_array_equal(second.features[0], first.features[1])
    np.testing.assert_array_equal(second.features[2], first.features[2])
    assert not np.array_equal(second.features[1], first.features[2])
    again = open_index(session, digits.model, PhotoFolder(folder), done.append)
    assert done[2:] == [3] and np.array_equal(again.features, second.features)
    for name, content in (("photos.stamps.json", b"[]"), ("photos.index", b"half")):
        (session / name).write_bytes(content)
        done.clear()
        again = open_index(session, digits.model, PhotoFolder(folder), done.append)
        assert done == [0, 3] and np.array_equal(again.features, second.features)


def test_the_map_keeps_clusters_together_and_is_kept(tmp_path):
    features, classes = blobs(200)
    layout = open_layout(tmp_path / "layout.npz", features)
    assert layout.positions.min() >= 0 and layout.positions.max() <= 1
    distances = np.linalg.norm(layout.positions[:, np.newaxis] - layout.positions, axis=2) + np.eye(200) * 9
    assert np.mean(classes[distances.argmin(axis=1)] == classes) > 0.98
    assert all(len(np.unique(classes[layout.clusters == cluster])) == 1 for cluster in np.unique(layout.clusters))
    again = open_layout(tmp_path / "layout.npz", features)
    np.testing.assert_array_equal(again.positions, layout.positions)
    whole = (tmp_path / "layout.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"half", whole[: len(whole) // 2], bytes(flipped)):
        (tmp_path / "layout.npz").write_bytes(damaged)
        np.testing.assert_array_equal(open_layout(tmp_path / "layout.npz", features).positions, layout.positions)
    assert (tmp_path / "layout.npz").read_bytes() == whole


@pytest.mark.parametrize("count", [1, 2, 4, 6, 12])
def test_few_or_equal_photos_have_a_map_too(count):
    for features in (blobs(count)[0], np.ones((count, 8), np.float32)):
        layout = lay_out(features)
        assert layout.positions.shape == (count, 2) and np.isfinite(layout.positions).all()
        assert layout.neighbours.shape == (count, min(30, count - 1))


def test_neighbours_are_those_of_a_plain_search():
    features, _ = blobs(60)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T - 9 * np.eye(60)
    neighbours, found = nearest_others(features, 5)
    np.testing.assert_allclose(found, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosines, neighbours, 1), found, atol=1e-6)


def test_copies_lead_the_near_duplicates(photos, index):
    layout = lay_out(index.features)
    pairs = finding.near_duplicates(layout, [photos.root / path for path in photos.paths], 20)
    assert {photos.paths[pairs[0].first], photos.paths[pairs[0].second]} == {HOSTILE, "00007.png"}
    assert pairs[0].identical and not any(pair.identical for pair in pairs[1:])
    cosines = [pair.cosine for pair in pairs[1:]]
    assert cosines == sorted(cosines, reverse=True)


def test_what_lies_far_from_all_others_is_an_outlier():
    features, _ = blobs(100)
    features[17] = -features.mean(axis=0)
    assert finding.outliers(lay_out(features), 5)[0].photo == 17


@pytest.mark.parametrize("kind", finding.MEASURES)
def test_similar_photos_are_of_the_same_class(index, classes, kind):
    right = [
        classes[hit.photo] == classes[photo]
        for photo in range(0, PHOTOS, 8)
        for hit in finding.similar(index, index.features[photo], kind, 5, without=photo)
    ]
    assert np.mean(right) > 0.5  # of ten classes, by a network with random weights
    with pytest.raises(UserError, match="by cosine or code"):
        finding.similar(index, index.features[0], "taste", 5)
