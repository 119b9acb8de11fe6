import os
from importlib.util import find_spec

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bssl_tf.deploy import TfliteBackbone, convert_backbone
from bssl_tf.errors import UserError
from bssl_tf.search import nearest
from bssl_tf.search.contact_sheet import Row, write_contact_sheet
from bssl_tf.search.photo_index import PhotoIndex, StaleIndex, build, features_of, open_photos

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="Faiss is not installed (the extra `search`)")


@pytest.fixture(scope="module")
def converted():
    """A small float network with random weights, as a .tflite file."""
    pixels = tf.keras.Input((16, 16, 3), batch_size=1)
    x = tf.keras.layers.Conv2D(24, 5, strides=2, activation="relu")(pixels / 255.0)
    return convert_backbone(tf.keras.Model(pixels, tf.keras.layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def model(tmp_path, converted):
    (tmp_path / "model.tflite").write_bytes(converted)
    return tmp_path / "model.tflite"


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    root = tmp_path / "photos"
    (root / "nested").mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / ("nested" if number % 2 else "") / f"{number:02d}.png")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def index(model, folder):
    return build(model, open_photos(folder)[0])


def test_an_index_holds_every_photos_features(index, model, folder, images):
    assert len(index.paths) == 12 and index.paths[0] == "00.png" and "nested/11.png" in index.paths
    order = [int(path[-6:-4]) for path in index.paths]
    assert np.array_equal(index.features, TfliteBackbone(model).features(images[order]))
    assert np.array_equal(index.codes, np.packbits(index.features >= index.features.mean(0), axis=1, bitorder="little"))
    assert open_photos(folder)[1].skipped == [("notes.txt", "not an image")]


def test_a_query_is_read_as_the_photos_were(index, model, folder):
    found = features_of(model, [folder / "04.png", folder / "nested" / "07.png"])
    assert np.array_equal(found, index.features[[index.paths.index("04.png"), index.paths.index("nested/07.png")]])
    with pytest.raises(UserError, match="notes.txt: not an image"):
        features_of(model, [folder / "notes.txt"])


def test_saved_and_loaded(index, tmp_path):
    index.save(tmp_path / "photos.index")
    again = PhotoIndex.load(tmp_path / "photos.index")
    assert again.origin == index.origin and again.paths == index.paths
    assert np.array_equal(again.features, index.features) and np.array_equal(again.centre, index.centre)
    (tmp_path / "photos.index").write_bytes(b"something else")
    with pytest.raises(StaleIndex, match="no index of this program.*--rebuild"):
        PhotoIndex.load(tmp_path / "photos.index")


def test_an_index_that_is_out_of_date_is_refused(index, model, folder):
    index.check_fresh(model, open_photos(folder)[0])
    (folder / "02.png").unlink()
    Image.new("RGB", (16, 16)).save(folder / "new.png")
    with pytest.raises(StaleIndex, match="1 new, 1 gone.*--rebuild"):
        index.check_fresh(model, open_photos(folder)[0])


def test_a_photo_that_was_edited_and_another_network_are_noticed(index, model, folder):
    os.utime(folder / "04.png", ns=(0, 0))
    with pytest.raises(StaleIndex, match="some have changed"):
        index.check_fresh(model, open_photos(folder)[0])
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(StaleIndex, match="another file than --model"):
        index.check_fresh(model, open_photos(folder)[0])


@needs_faiss
def test_nearest_are_those_of_the_definition():
    random = np.random.default_rng(0)
    features, queries = random.normal(size=(60, 24)).astype(np.float32), random.normal(size=(5, 24)).astype(np.float32)
    unit = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in (features, queries)]
    cosines = unit[1] @ unit[0].T
    found = nearest.by_cosine(features, queries, 7)
    assert np.array_equal(found.places, np.argsort(-cosines, axis=1)[:, :7])
    assert found.scores == pytest.approx(np.sort(cosines, axis=1)[:, ::-1][:, :7], abs=1e-5)
    codes = np.packbits(features > 0, axis=1, bitorder="little")
    differing = (np.unpackbits(codes, axis=1)[:5, None] != np.unpackbits(codes, axis=1)[None]).sum(-1)
    by_code = nearest.by_hamming(codes, codes[:5], 9)
    assert np.array_equal(by_code.scores, np.sort(differing, axis=1)[:, :9])
    assert np.array_equal(np.take_along_axis(differing, by_code.places, 1), by_code.scores)


@needs_faiss
def test_recall_from_perfect_to_chance():
    random = np.random.default_rng(1)
    features = random.normal(size=(400, 64)).astype(np.float32)
    unrelated = random.integers(0, 256, (400, 8), np.uint8)
    codes = np.packbits(features > 0, axis=1, bitorder="little")
    signs = np.where(features > 0, 1, -1).astype(np.float32)
    assert nearest.recall(features, unrelated, 10) < 0.06
    assert 0.2 < nearest.recall(features, codes, 10) < nearest.recall(features, codes, 10, among=100) <= 1
    assert nearest.recall(features, codes, 399) == 1  # all are neighbours then
    assert nearest.recall(signs, codes, 10, among=60) > 0.99  # cosine and Hamming distance agree, but for ties


def test_contact_sheet_shows_queries_and_hits(tmp_path, folder):
    rows = [Row(folder / "00.png", "codes", [(folder / "02.png", "3 bits"), (folder / "gone.png", "9 bits")])] * 2
    write_contact_sheet(tmp_path / "sheet.png", rows, thumbnail=32)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (3 * 38 + 18, 2 * 54 + 6)
        query = np.asarray(Image.open(folder / "00.png").resize((32, 32), Image.Resampling.NEAREST))
        assert np.array_equal(np.asarray(sheet)[6:38, 6:38], query)
        assert (np.asarray(sheet)[6:38, 6 + 2 * 38 + 12 : 6 + 2 * 38 + 44] == 220).all()  # a photo that has gone
