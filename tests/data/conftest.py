"""Data for the tests: a folder as found in the wild, and a real TFDS data set on disk."""

import gzip
import os

import numpy as np
import pytest
from PIL import Image

from bssl_tf.data.sources.arrays import ArraySource


def photo(height=40, width=60, seed=0):
    """A smooth uint8 RGB image with some texture."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def nasty_folder(tmp_path):
    """Eleven readable images in two classes, and everything that may lie beside them."""
    root = tmp_path / "photos"
    cats, dogs = root / "cats", root / "dogs" / "deep" / "deeper"
    cats.mkdir(parents=True)
    dogs.mkdir(parents=True)
    rgb = Image.fromarray(photo())
    rgb.save(cats / "plain.jpg")
    rgb.save(cats / "UPPER.JPEG")
    rgb.convert("CMYK").save(cats / "cmyk.jpg")
    rgb.convert("L").save(cats / "grey.png")
    Image.fromarray(np.linspace(0, 65535, 2400).astype(np.uint16).reshape(40, 60)).save(cats / "grey16.png")
    rgb.convert("P").save(dogs / "palette.png", transparency=3)
    rgb.convert("LA").save(dogs / "grey_alpha.png")
    rgb.convert("RGBA").save(dogs / "größe 日本 😀.png")
    rgb.save(dogs / "moving.gif", save_all=True, append_images=[rgb.rotate(90)] * 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(dogs / "turned.jpg", exif=exif)
    rgb.save(os.fsencode(dogs) + b"/bad\xff\nname.png", format="PNG")

    whole = (cats / "plain.jpg").read_bytes()
    (cats / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (cats / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nonsense" * 20)
    (cats / "empty.jpg").write_bytes(b"")
    (cats / "notes.txt").write_text("not an image")
    (cats / ".hidden.jpg").write_bytes(b"nonsense")
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails" / "x.jpg").write_bytes(b"nonsense")
    Image.new("1", (40_000, 5_000)).save(dogs / "bomb.png")
    Image.new("1", (9_000, 9_000)).save(dogs / "large.png")
    Image.fromarray(np.ones((8, 8), np.float32)).save(dogs / "float.tif")
    Image.fromarray(np.ones((8, 8), np.int32)).save(dogs / "int32.tif")
    (dogs / "loop").symlink_to(root, target_is_directory=True)
    (dogs / "dangling.jpg").symlink_to(root / "nowhere.jpg")
    (dogs / "itself.jpg").symlink_to(dogs / "itself.jpg")
    os.mkfifo(dogs / "pipe.jpg")
    return root


def write_idx(path, array):
    """Write a uint8 array as a gzipped IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory):
    """The four files of Fashion-MNIST, with 60 and 20 images."""
    folder = tmp_path_factory.mktemp("idx")
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return folder


@pytest.fixture(scope="session")
def data_dir(idx_folder, tmp_path_factory):
    """A TFDS folder in which the small fashion_mnist is prepared."""
    from bssl_tf.data.sources.prepare_fashion_mnist import prepare

    folder = tmp_path_factory.mktemp("tfds")
    prepare(idx_folder, folder)
    return folder


@pytest.fixture(scope="session")
def grey_source():
    """50 different grey images of 12×12 pixels."""
    images = np.random.default_rng(1).integers(0, 256, (50, 12, 12, 1), dtype=np.uint8)
    return ArraySource("noise", images, np.arange(50) % 5, list("abcde"))


@pytest.fixture(scope="session")
def colour_source():
    """20 smooth RGB images of 32×32 pixels."""
    return ArraySource("smooth", np.stack([photo(32, 32, seed) for seed in range(20)]))
