import subprocess

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from bssl_tf.data.sources.image_files import ImageInfo, UnreadableImage, check_image, read_image, read_intact_jpeg


def save(tmp_path, image, name="image.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def test_grey_of_16_bits_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 256, 32768, 65535]], np.uint16)
    path = save(tmp_path, Image.fromarray(values))
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], [[0, 1, 128, 255]])
    assert check_image(path) == ImageInfo(1, 4, 1)


@pytest.mark.parametrize("name", ["image.pgm", "image.tif"])
def test_grey_of_16_bits_in_other_formats(tmp_path, name):
    path = save(tmp_path, Image.fromarray(np.array([[0, 65535]], np.uint16)), name)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], [[0, 255]])


def test_transparency_is_laid_on_white(tmp_path):
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)
    path = save(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(read_image(path, 3), [[[10, 20, 30], [255, 255, 255]]])


def test_transparent_grey_stays_grey(tmp_path):
    path = save(tmp_path, Image.fromarray(np.array([[[7, 255], [7, 0]]], np.uint8)))
    assert check_image(path).channels == 1
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], [[7, 255]])


def test_transparent_palette_entry_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    path = save(tmp_path, image, transparency=1)
    np.testing.assert_array_equal(read_image(path, 3), [[[255, 0, 0], [255, 255, 255]]])


def test_cmyk_becomes_rgb(tmp_path):
    path = save(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "image.jpg", quality=95)
    red, green, blue = read_image(path, 3).mean(axis=(0, 1))
    assert red > 240 and green < 15 and blue < 15


def test_first_frame_of_an_animation(tmp_path):
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    path = save(tmp_path, first, "image.gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_image(path, 3)[0, 0], [255, 0, 0])


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter: the left half comes to the top
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255
    path = save(tmp_path, Image.fromarray(pixels), "image.jpg", exif=exif, quality=95)
    image = read_image(path, 3)
    assert image.shape == (32, 16, 3) and image[:14].min() > 200 and image[18:].max() < 50
    assert check_image(path) == ImageInfo(32, 16, 3)


@pytest.mark.parametrize("name", ["image.jpg", "image.png"])
def test_large_images_are_shrunk_to_the_short_side_and_small_ones_are_not(tmp_path, name):
    path = save(tmp_path, Image.new("RGB", (900, 600), "teal"), name)
    assert read_image(path, 3, short_side=64).shape == (64, 96, 3)
    assert read_image(path, 3, short_side=600).shape == (600, 900, 3)
    assert read_image(path, 3, short_side=601).shape == (600, 900, 3)
    assert check_image(path) == ImageInfo(600, 900, 3, is_plain_jpeg=name.endswith("jpg"))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path):
    path = save(tmp_path, Image.new("L", (10_000, 9_000), 99), "image.jpg")
    assert check_image(path) == ImageInfo(9_000, 10_000, 1, is_plain_jpeg=True)
    assert read_image(path, 1, short_side=448).shape == (448, 498, 1)
    with pytest.raises(UnreadableImage, match="too large: 10000×9000"):
        read_image(path, 1)


def test_only_upright_baseline_jpegs_of_grey_or_rgb_are_plain(tmp_path):
    def is_plain(mode="RGB", name="image.jpg", **options):
        return check_image(save(tmp_path, Image.new(mode, (16, 8)), name, **options)).is_plain_jpeg

    upright, turned = Image.Exif(), Image.Exif()
    upright[0x0112], turned[0x0112] = 1, 3
    assert is_plain() and is_plain("L") and is_plain(exif=upright)
    assert not (is_plain(exif=turned) or is_plain("CMYK") or is_plain(progressive=True) or is_plain(name="image.png"))


def test_bytes_of_a_broken_or_missing_jpeg_are_none(tmp_path):
    path = save(tmp_path, Image.new("RGB", (16, 8)), "image.jpg")
    whole = path.read_bytes()
    assert read_intact_jpeg(path) == whole
    path.write_bytes(whole[:-20])
    assert read_intact_jpeg(path) == read_intact_jpeg(tmp_path / "gone.jpg") == b""


def test_grey_asked_for_rgb_and_back(tmp_path):
    grey = save(tmp_path, Image.new("L", (3, 2), 50))
    np.testing.assert_array_equal(read_image(grey, 3), np.full((2, 3, 3), 50))
    red = save(tmp_path, Image.new("RGB", (3, 2), "red"))
    np.testing.assert_array_equal(read_image(red, 1), np.full((2, 3, 1), 76))


def test_missing_file_is_not_called_broken(tmp_path):
    with pytest.raises(UnreadableImage, match="cannot be read: No such file"):
        read_image(tmp_path / "gone.jpg", 3)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tif", "gif", "bmp", "ppm", "jp2"])
def test_formats_are_told_by_the_content(tmp_path, ending):
    path = save(tmp_path, Image.new("RGB", (16, 8), "teal"), f"image.{ending}")
    assert check_image(path.rename(tmp_path / "image.eps"))[:3] == (8, 16, 3)


def test_a_program_in_postscript_is_not_an_image_and_is_not_run(tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise AssertionError("a file of somebody else was about to be run")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", fails)
    monkeypatch.setattr(subprocess, "Popen", fails)
    for name in ("x.jpg", "x.eps"):
        (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n")
        with pytest.raises(UnreadableImage, match="^not an image$"):
            check_image(tmp_path / name)
