import numpy as np
import pytest
from PIL import Image

from bssl_tf.config.training import ViewSettings
from bssl_tf.data import evaluation_images, keep_decoded, training_views
from bssl_tf.data.sources import folder
from bssl_tf.data.sources.decoded import DecodedSource


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """JPEG and PNG images of different sizes in two classes, some of which are shrunk when decoded."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(10):
        path = root / f"class{number % 2}" / f"{number}.{'jpg' if number < 6 else 'png'}"
        path.parent.mkdir(exist_ok=True)
        corners = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        corners.resize((90 + 30 * number, 80 + 40 * number), Image.Resampling.BICUBIC).save(path)
    return folder.load(root, "train", holdout=1e-9, progress=False)


def kept(source, limit_mb, image_size=32):
    lines = []
    return keep_decoded(source, image_size=image_size, limit_mb=limit_mb, log=lines.append), lines


def test_views_and_evaluation_are_the_same_to_the_bit(photos):
    decoded, lines = kept(photos, 100)
    assert isinstance(decoded, DecodedSource) and "kept in memory (--decoded_cache_mb=100)" in lines[0]
    arguments = dict(image_size=32, channels=3, views=ViewSettings(), seed=3, batch_size=4, epochs=2, start_step=1)
    for expected, views in zip(training_views(photos, **arguments), training_views(decoded, **arguments), strict=True):
        np.testing.assert_array_equal(views, expected)
    expected, images = (list(evaluation_images(each, image_size=32, channels=3)) for each in (photos, decoded))
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(decoded.labels, photos.labels)


def test_files_are_not_read_again(photos, monkeypatch):
    decoded, _ = kept(photos, 100)
    monkeypatch.setattr("bssl_tf.data.sources.folder._read", None)
    monkeypatch.setattr("bssl_tf.data.sources.folder._plain_jpeg", None)
    assert len(list(evaluation_images(decoded, image_size=32, channels=3))) == 1


def test_what_does_not_fit_or_is_not_wanted_is_not_kept(photos):
    source, lines = kept(photos, 1, image_size=400)
    assert source is photos and "not kept in memory (--decoded_cache_mb=1)" in lines[0]
    assert kept(photos, 0) == (photos, [])


def test_images_in_memory_stay_as_they_are(colour_source):
    assert kept(colour_source, 100) == (colour_source, [])


def test_another_size_than_the_decoded_one_is_refused(photos):
    decoded, _ = kept(photos, 100)
    with pytest.raises(ValueError, match="short_side=64, not 128"):
        evaluation_images(decoded, image_size=64, channels=3)
