"""Reads one image file as it comes, in any of the `FORMATS`, into plain 8-bit grey or RGB pixels.

Pillow opens the file, by what is in it and not by its name. Transparency is laid on white, EXIF rotation applied, the
first frame of an animation taken, 16-bit grey scaled to 8 bits. What has no clear meaning as a photo (floating-point
and 32-bit pixels) or would not fit in memory is refused, with the reason.
"""

import functools
import os
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bssl_tf.data.sources.jpeg_check import jpeg_damage

AnyPath = str | bytes | os.PathLike

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM", "JPEG2000")
"""Pillow's names of what is read. Of its other formats EPS is a program, which Ghostscript would run."""
LARGEST_PIXEL_COUNT = 2**26  # decoded, that is 200 MB
assert Image.MAX_IMAGE_PIXELS is not None
LARGEST_JPEG_PIXEL_COUNT = 2 * Image.MAX_IMAGE_PIXELS  # above it Pillow itself refuses to open any file
NOW_UNREADABLE = "cannot be read"  # begins the reasons that lie in the file system and may pass

_WHITE = (255, 255, 255, 255)
_GREY_MODES = ("1", "L")
_EXIF_ORIENTATION, _UPRIGHT, _QUARTER_TURNS = 0x0112, 1, (5, 6, 7, 8)
_JPEG_BEGIN = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_SHRINKABLE_FORMATS = ("JPEG", "MPO")  # MPO: JPEG files of phones that hold more than one picture
_FORMATS_OF_16_BITS = ("PNG", "PPM")  # Pillow opens some of their 16-bit grey images in the 32-bit mode

# Sizes are checked here, and a warning for each large photo would drown the report.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class UnreadableImage(Exception):
    """A file is not an image that can be used; the message is the reason, in a few words."""


class ImageInfo(NamedTuple):
    """What a file holds.

    Attributes:
        height: in pixels, after EXIF rotation.
        width: likewise.
        channels: 1 or 3.
        is_plain_jpeg: a baseline JPEG file, grey or RGB, that is not to be rotated: any decoder can read it.
    """

    height: int
    width: int
    channels: int
    is_plain_jpeg: bool = False


def read_image(path: AnyPath, channels: int, short_side: int | None = None) -> np.ndarray:
    """Read an image file.

    Args:
        path: the file.
        channels: 1 or 3.
        short_side: shrink larger images until the smaller of height and width is this; JPEG files are
            then decoded at a fraction of their size, which saves most of the time and memory.

    Returns:
        uint8 of shape (height, width, channels).

    Raises:
        UnreadableImage: with the reason.
    """
    image, _ = _load(path, short_side)
    image = image.convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


def read_intact_jpeg(path: AnyPath) -> bytes:
    """The bytes of a JPEG file; none if it cannot be read or does not end as it should."""
    try:
        with open(path, "rb") as file:
            contents = file.read()
    except OSError:
        return b""
    return contents if contents.endswith(_JPEG_END) else b""


def check_image(path: AnyPath) -> ImageInfo:
    """Decode a file to the end, and say what it holds.

    Raises:
        UnreadableImage: with the reason.
    """
    info = _load(path, short_side=64)[1]
    try:
        with open(path, "rb") as file:
            content = file.read() if file.read(len(_JPEG_BEGIN)) == _JPEG_BEGIN else b""
    except OSError as error:
        raise UnreadableImage(f"{NOW_UNREADABLE}: {error.strerror}") from None
    if content and (damage := jpeg_damage(_JPEG_BEGIN + content)):
        raise UnreadableImage(f"broken or truncated: {damage}")
    return info


def _load(path: AnyPath, short_side: int | None) -> tuple[Image.Image, ImageInfo]:
    """The image in mode L or RGB, no larger than needed, and what the file holds."""
    try:
        if os.path.getsize(path) == 0:
            raise UnreadableImage("empty file")
        with Image.open(os.fsdecode(path), formats=_installed_formats()) as file:
            full_size = file.size
            if short_side is not None and file.format in _SHRINKABLE_FORMATS:
                file.draft(None, (short_side, short_side))
            if file.width * file.height > LARGEST_PIXEL_COUNT:
                limit = LARGEST_PIXEL_COUNT // 10**6
                raise UnreadableImage(f"too large: {file.width}×{file.height} pixels, over {limit} million")
            file.load()
            info_size = _size_after_rotation(file, full_size)
            is_plain_jpeg = _is_plain_jpeg(file)
            image = _to_8_bits(ImageOps.exif_transpose(file), file.format)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("not an image") from None
    except Image.DecompressionBombError:
        raise UnreadableImage(f"too large: over {LARGEST_JPEG_PIXEL_COUNT // 10**6} million pixels") from None
    except MemoryError:
        raise UnreadableImage(f"{NOW_UNREADABLE}: out of memory") from None
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly anything
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableImage(f"{NOW_UNREADABLE}: {error.strerror}") from None
        detail = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(f"broken or truncated: {detail}") from None
    info = ImageInfo(info_size[1], info_size[0], 1 if image.mode == "L" else 3, is_plain_jpeg)
    return _shrink(image, short_side), info


@functools.cache
def _installed_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow has: older ones lack AVIF."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _size_after_rotation(file: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    return size[::-1] if file.getexif().get(_EXIF_ORIENTATION) in _QUARTER_TURNS else size


def _is_plain_jpeg(file: Image.Image) -> bool:
    return (
        file.format in _SHRINKABLE_FORMATS
        and file.mode in ("L", "RGB")
        and "progressive" not in file.info
        and file.getexif().get(_EXIF_ORIENTATION, _UPRIGHT) == _UPRIGHT
    )


def _to_8_bits(image: Image.Image, file_format: str) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and file_format in _FORMATS_OF_16_BITS):
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "I":
        raise UnreadableImage("32-bit integer pixels, whose range is unknown")
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels, whose range is unknown")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        is_grey = image.mode in ("LA", "La") or image.mode in _GREY_MODES
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
        return image.convert("L" if is_grey else "RGB")
    return image.convert("L" if image.mode in _GREY_MODES else "RGB")


def _shrink(image: Image.Image, short_side: int | None) -> Image.Image:
    if short_side is None or min(image.size) <= short_side:
        return image
    ratio = short_side / min(image.size)
    width, height = (max(1, round(length * ratio)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
