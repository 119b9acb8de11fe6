import io

import numpy as np
import pytest
from PIL import Image

from bssl_tf.data.sources.base import DataError, readable_data_errors
from bssl_tf.data.sources.folder import load
from bssl_tf.data.sources.image_files import read_image
from bssl_tf.data.sources.jpeg import decode_jpeg


def photo(height, width):
    corners = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC))


def encoded(height, width, mode="RGB"):
    file = io.BytesIO()
    Image.fromarray(photo(height, width)).convert(mode).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.mark.parametrize(
    "short_side, shape", [(None, (300, 401)), (200, (300, 401)), (150, (150, 201)), (40, (75, 101))]
)
def test_large_images_are_decoded_at_a_fraction_that_is_large_enough(short_side, shape):
    image = decode_jpeg(encoded(300, 401), 3, short_side)
    assert image.shape == (*shape, 3)
    expected = Image.fromarray(photo(300, 401)).resize(shape[::-1], Image.Resampling.BOX)
    assert np.abs(image.numpy().astype(int) - np.asarray(expected)).mean() < 3


@pytest.mark.parametrize("mode, channels", [("L", 3), ("RGB", 1)])
def test_channels_are_those_asked_for(mode, channels):
    image = decode_jpeg(encoded(16, 24, mode), channels)
    expected = np.asarray(Image.fromarray(photo(16, 24)).convert("L"))[..., np.newaxis]
    assert image.shape == (16, 24, channels) and np.abs(image.numpy().astype(int) - expected).max() < 12


def test_a_folder_gives_the_same_image_through_tensorflow_and_through_pillow(nasty_folder):
    source = load(nasty_folder, "train", holdout=1e-9, progress=False)
    plain = [info.is_plain_jpeg for info in (source.report.images[path] for path in source.paths)]
    assert sum(plain) == 2
    for path, example in zip(source.paths, source.examples(), strict=True):
        expected = read_image(nasty_folder / path, 3).astype(int)
        assert np.abs(source.decode(example["record"]).numpy() - expected).max() <= 3


@pytest.mark.parametrize(
    "break_it", [lambda path: path.write_bytes(path.read_bytes()[:-100]), lambda path: path.unlink()]
)
def test_a_jpeg_that_breaks_later_is_named(tmp_path, break_it):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(60, 80))
    source = load(tmp_path, "train", holdout=1e-9, progress=False)
    break_it(path)
    images = source.examples().map(lambda example: source.decode(example["record"]))
    with pytest.raises(DataError, match="photo.jpg could be read when the folder was checked"), readable_data_errors():
        list(images)


def test_a_jpeg_that_only_tensorflow_refuses_is_a_data_error_too(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(60, 80))
    source = load(tmp_path, "train", holdout=1e-9, progress=False)
    content = path.read_bytes()
    path.write_bytes(content[:2] + bytes(40) + content[42:])
    images = source.examples().map(lambda example: source.decode(example["record"]))
    with pytest.raises(DataError, match="is damaged now.* Start again"), readable_data_errors():
        list(images)
