"""JPEG files that are read half grey are skipped, and named; honest ones are not."""

import io

import numpy as np
import pytest
from PIL import Image

from bssl_tf.data.sources.folder_scan import scan_folder
from bssl_tf.data.sources.jpeg_check import jpeg_damage


def jpeg(channels=3, **options):
    random = np.random.default_rng(0)
    coarse = np.kron(random.uniform(0, 255, (20, 25, channels)), np.ones((12, 12, 1)))
    pixels = np.clip(coarse + random.normal(0, 20, coarse.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


KINDS = {
    "baseline": jpeg(),
    "progressive": jpeg(progressive=True),
    "restart markers": jpeg(restart_marker_rows=1),
    "grey": jpeg(channels=1),
    "no subsampling": jpeg(subsampling=0),
}


def corrupt_middle(content):
    changed, middle = bytearray(content), len(content) // 2
    changed[middle : middle + 300] = np.random.default_rng(1).integers(0, 255, 300, dtype=np.uint8).tobytes()
    return bytes(changed)


def without_middle(content):
    return content[: len(content) // 2] + content[len(content) // 2 + 500 :]


def forged_end(content):
    return content[: len(content) // 2] + b"\xff\xd9"


def header_of_9000_pixels(content):
    changed = bytearray(content)
    frame = next(content.index(mark) for mark in (b"\xff\xc0\x00", b"\xff\xc2\x00") if mark in content)
    changed[frame + 5 : frame + 9] = (9000).to_bytes(2, "big") * 2
    return bytes(changed)


DAMAGES = (corrupt_middle, without_middle, forged_end, header_of_9000_pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found(kind, damage):
    assert jpeg_damage(damage(KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_honest_files_pass(kind):
    content = KINDS[kind]
    assert jpeg_damage(content) == ""
    assert jpeg_damage(content + b"added by a program") == ""
    for padding in (b"\0", b"\xff"):
        padded = content[:-2] + 40 * padding + content[-2:]
        assert jpeg_damage(padded) == jpeg_damage(padded + KINDS["grey"]) == ""  # phones put more pictures behind it
    Image.open(io.BytesIO(content)).load()


def test_a_second_picture_or_a_thumbnail_does_not_hide_damage():
    thumbnail = Image.Exif()
    thumbnail[0x9286] = 60 * b"\0" + b"\xff\xd9"  # a comment
    for damage in DAMAGES:
        assert jpeg_damage(damage(KINDS["baseline"]) + KINDS["grey"][:-2] + 5000 * b"\0" + b"\xff\xd9")
        assert jpeg_damage(damage(jpeg(exif=thumbnail)))


def test_cmyk_is_not_taken_for_damage():
    stream = io.BytesIO()
    Image.new("CMYK", (40, 40), (0, 200, 100, 0)).save(stream, "JPEG")
    assert jpeg_damage(stream.getvalue()) == ""


def test_a_scan_skips_and_names_them(tmp_path):
    for damage in DAMAGES:
        content = damage(KINDS["baseline"])
        assert Image.open(io.BytesIO(content)).convert("RGB")  # Pillow alone notices nothing
        (tmp_path / f"{damage.__name__}.jpg").write_bytes(content)
    (tmp_path / "whole.jpg").write_bytes(KINDS["baseline"])
    report = scan_folder(tmp_path, progress=False)
    assert list(report.images) == ["whole.jpg"]
    assert {name for name, _ in report.skipped} == {f"{damage.__name__}.jpg" for damage in DAMAGES}
    assert all(reason.startswith("broken or truncated: Corrupt JPEG data") for _, reason in report.skipped)
