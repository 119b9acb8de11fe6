import os
from importlib.util import find_spec

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bssl_tf.deploy import TfliteBackbone, convert_backbone
from bssl_tf.errors import UserError
from bssl_tf.search.photo_index import PhotoIndex, StaleIndex, build, check_replaceable, features_of, open_photos

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="Faiss is not installed (the extra `search`)")


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


def test_a_classifier_is_refused(folder, tmp_path):
    pixels = tf.keras.Input((16, 16, 3), batch_size=1)
    network = tf.keras.Model(pixels, tf.keras.layers.GlobalAveragePooling2D()(pixels))
    (tmp_path / "classifier.tflite").write_bytes(convert_backbone(network, output="logits"))
    with pytest.raises(UserError, match="classifier.tflite is a classifier: it gives logits.* no features"):
        build(tmp_path / "classifier.tflite", open_photos(folder)[0])


def test_saved_and_loaded(index, tmp_path):
    index.save(tmp_path / "photos.index")
    again = PhotoIndex.load(tmp_path / "photos.index")
    assert again.origin == index.origin and again.paths == index.paths
    assert np.array_equal(again.features, index.features) and np.array_equal(again.centre, index.centre)
    content = bytearray((tmp_path / "photos.index").read_bytes())
    content[200:220] = bytes(20)
    (tmp_path / "photos.index").write_bytes(content)
    with pytest.raises(StaleIndex, match="cannot be used.*--rebuild"):
        PhotoIndex.load(tmp_path / "photos.index")
    check_replaceable(tmp_path / "photos.index")


@pytest.mark.parametrize("content", [b"", b"something else", b"PK\3\4 and no archive"])
def test_what_is_no_index_is_never_to_be_overwritten(tmp_path, content):
    (tmp_path / "thesis.doc").write_bytes(content)
    for use in (PhotoIndex.load, check_replaceable):
        with pytest.raises(UserError, match="no index of this program: name another file"):
            use(tmp_path / "thesis.doc")


def test_another_archive_is_no_index(tmp_path):
    np.savez(tmp_path / "arrays.npz", features=np.zeros(3))
    with pytest.raises(UserError, match="no index of this program"):
        check_replaceable(tmp_path / "arrays.npz")


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
