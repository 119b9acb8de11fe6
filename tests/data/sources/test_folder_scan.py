import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from bssl_tf.data.sources.base import DataError
from bssl_tf.data.sources.folder_scan import printable, scan_folder

BAD_NAME = os.fsdecode(b"dogs/deep/deeper/bad\xff\nname.png")
EXPECTED_REASONS = {
    "cats/broken.png": "broken or truncated",
    "cats/empty.jpg": "empty file",
    "cats/notes.txt": "not an image",
    "cats/truncated.jpg": "broken or truncated",
    "dogs/deep/deeper/bomb.png": "too large",
    "dogs/deep/deeper/dangling.jpg": "broken symbolic link",
    "dogs/deep/deeper/float.tif": "floating-point pixels, whose range is unknown",
    "dogs/deep/deeper/int32.tif": "32-bit integer pixels, whose range is unknown",
    "dogs/deep/deeper/itself.jpg": "cannot be read",
    "dogs/deep/deeper/large.png": "too large",
    "dogs/deep/deeper/loop": "symbolic link to a folder that contains it",
    "dogs/deep/deeper/pipe.jpg": "not a regular file",
}


@contextmanager
def without_privileges():
    """Root may read everything: become nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_every_file_is_read_or_named_once(nasty_folder):
    report = scan_folder(nasty_folder, progress=False)
    assert {path: reason.split(":")[0] for path, reason in report.skipped} == EXPECTED_REASONS
    assert len(report.skipped) == len(EXPECTED_REASONS)
    assert len(report.images) == 11 and BAD_NAME in report.images
    assert {Path(path).name for path, info in report.images.items() if info.channels == 1} == {
        "grey.png",
        "grey16.png",
        "grey_alpha.png",
    }
    assert report.images["dogs/deep/deeper/turned.jpg"][:2] == (60, 40)


def test_report_as_text_and_as_file(nasty_folder, tmp_path):
    report = scan_folder(nasty_folder, progress=False)
    text = report.text(most=3)
    assert "11 images read, 12 files skipped" in text and "2 × too large" in text and "and 9 more" in text
    report.write(tmp_path / "skipped_files.txt")
    lines = (tmp_path / "skipped_files.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 12 and "cats/empty.jpg\tempty file" in lines


def test_names_are_printable():
    assert printable("größe 日本.png") == "größe 日本.png"
    assert printable(BAD_NAME) == "dogs/deep/deeper/bad\\udcff\\nname.png"


def test_second_scan_decodes_only_what_changed(nasty_folder, tmp_path, monkeypatch):
    first = scan_folder(nasty_folder, tmp_path / "cache", progress=False)
    decoded = []
    original = Image.open
    monkeypatch.setattr(
        Image, "open", lambda path, **options: decoded.append(Path(path).name) or original(path, **options)
    )
    assert scan_folder(nasty_folder, tmp_path / "cache", progress=False) == first
    assert decoded == []
    (nasty_folder / "cats" / "plain.jpg").write_bytes(b"no longer an image")
    Image.new("RGB", (5, 5)).save(nasty_folder / "cats" / "new.png")
    changed = scan_folder(nasty_folder, tmp_path / "cache", progress=False)
    assert sorted(decoded) == ["new.png", "plain.jpg"]
    assert "cats/new.png" in changed.images and "cats/plain.jpg" not in changed.images
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_broken_cache_is_named(nasty_folder, tmp_path):
    scan_folder(nasty_folder, tmp_path, progress=False)
    (cache_file,) = tmp_path.glob("folder_scan_*.json")
    json.loads(cache_file.read_text())
    cache_file.write_text("{half a fi")
    with pytest.raises(DataError, match=cache_file.name):
        scan_folder(nasty_folder, tmp_path, progress=False)


@pytest.mark.parametrize("content", [None, [], {}, 3, "files", {"version": 4}])
def test_a_cache_of_something_else_is_made_again(tmp_path, content):
    assert_made_again(tmp_path, lambda cache: content)


@pytest.mark.parametrize("files", [[], {"a.png": None}, {"a.png": [1]}, {"a.png": [[1], [3]]}, {"a.png": [[1], {}]}])
def test_a_cache_without_verdicts_is_made_again(tmp_path, files):
    assert_made_again(tmp_path, lambda cache: cache | {"files": files})


def assert_made_again(root, damage):
    Image.new("RGB", (5, 5)).save(root / "a.png")
    first = scan_folder(root, root / ".cache", progress=False)
    (cache_file,) = (root / ".cache").iterdir()
    whole = json.loads(cache_file.read_text())
    cache_file.write_text(json.dumps(damage(whole)))
    assert scan_folder(root, root / ".cache", progress=False) == first
    assert json.loads(cache_file.read_text()) == whole


def test_without_permission_a_file_is_skipped_until_it_is_granted(tmp_path):
    root = Path(tempfile.mkdtemp())
    try:
        root.chmod(0o755)
        for name in ("locked.png", "open.png"):
            Image.new("RGB", (5, 5)).save(root / name)
        (root / "closed").mkdir(mode=0o000)
        (root / "locked.png").chmod(0o000)
        cache = root / ".cache"
        cache.mkdir()
        cache.chmod(0o777)
        with without_privileges():
            report = scan_folder(root, cache, progress=False)
        assert list(report.images) == ["open.png"]
        assert report.skipped == [
            ("closed", "folder cannot be read: Permission denied"),
            ("locked.png", "cannot be read: Permission denied"),
        ]
        (root / "locked.png").chmod(0o644)
        with without_privileges():
            assert list(scan_folder(root, cache, progress=False).images) == ["locked.png", "open.png"]
    finally:
        (root / "closed").chmod(0o755)
        shutil.rmtree(root)


def test_links_to_other_folders_are_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (5, 5)).save(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert list(scan_folder(tmp_path / "root", progress=False).images) == ["linked/a.png"]


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        scan_folder(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="that is a file"):
        scan_folder(tmp_path / "file")
