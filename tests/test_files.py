import json
import os

import pytest

from bssl_tf import files
from bssl_tf.errors import DiskFull
from bssl_tf.runs import Workdir


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    files.write_json(path, {"epochs": 1})

    def crash(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        files.write_json(path, {"epochs": 2})
    assert json.loads(path.read_text()) == {"epochs": 1}
    assert [member.name for member in tmp_path.iterdir()] == ["settings.json"]


def test_a_fingerprint_changes_with_content_and_names_but_not_with_the_place(tmp_path):
    for place, name, content in (("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")):
        files.write_text(tmp_path / place / name, content)
    prints = [files.fingerprint(tmp_path / place / name) for place, name in ("ax", "bx", "cy", "dx")]
    assert prints[0] == prints[1] and len(set(prints)) == 3


def test_fingerprint_of_a_folder_covers_all_of_its_files(tmp_path):
    files.write_text(tmp_path / "model" / "variables" / "data", "1")
    before = files.fingerprint(tmp_path / "model")
    files.write_text(tmp_path / "model" / "assets" / "labels", "2")
    assert files.fingerprint(tmp_path / "model") != before


def test_names_that_are_no_utf8(tmp_path):
    (tmp_path / "caf\udce9").write_bytes(b"1")
    assert files.fingerprint(tmp_path / "caf\udce9") != files.fingerprint(tmp_path)
    files.write_json(tmp_path / "a.json", {"path": "caf\udce9"})
    assert files.json.loads((tmp_path / "a.json").read_text()) == {"path": "caf\udce9"}


def test_sizes_are_told_in_units_of_people():
    assert [files.size_text(count) for count in (12, 999, 1234, 999_600, 5.6e6, 3.14159e9, 2e12)] == [
        "12 bytes", "999 bytes", "1.23 kB", "1 MB", "5.6 MB", "3.14 GB", "2 TB"
    ]  # fmt: skip


def test_leftovers_of_killed_processes_are_swept_and_nothing_else(tmp_path):
    kept = ["epochs.csv", ".epochs.csv", ".mine.settings", ".bashrc", "ckpt-4.index", ".other.json.abcdefgh.tmp"]
    left = [".epochs.csv.ab12cd_9", ".epochs.csv.ab12cd_9.tmp", "checkpoint.tmp0123456789abcdef"]
    for name in kept + left:
        (tmp_path / name).write_text("x")
    (tmp_path / "ckpt-8_temp").mkdir()
    (tmp_path / "ckpt-8_temp" / "part").write_text("x")
    swept = files.sweep(tmp_path, ["epochs.csv"])
    assert sorted(path.name for path in swept) == sorted([*left, "ckpt-8_temp"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_leftovers_of_caches_are_swept_once_they_are_old(tmp_path):
    left = [
        ".folder_scan_0123456789abcdef.json.ab12cd_9.tmp",
        "features/0a/.cycle-0001.rows.ab12cd_9.tmp",
        "features/0a/.about.json.ab12cd_9.tmp",
    ]
    kept = ["folder_scan_0123456789abcdef.json", ".other.ab12cd_9.tmp"]
    kept += [f"features/0a/{name}" for name in ("about.json", "lock", "cycle-0001.partial", "cycle-0001.rows")]
    for name in left + kept:
        files.write_text(tmp_path / name, "1")
    assert Workdir(tmp_path).sweep() == []  # somebody may be writing them
    for name in left + kept:
        os.utime(tmp_path / name, (0, 0))
    assert sorted(Workdir(tmp_path).sweep()) == sorted(tmp_path / name for name in left)
    assert all((tmp_path / name).exists() for name in kept)


def test_what_is_being_written_would_be_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *paths: None)  # as if killed just before
    files.write_text(tmp_path / "epochs.csv", "x")
    assert len(files.sweep(tmp_path, ["epochs.csv"])) == 1


def test_a_full_disk_is_named_with_file_and_need(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskFull, match=r"the disk is full: .*settings\.json takes 2 bytes, and .* are free"):
        files.write_text(tmp_path / "settings.json", "ab")
    assert not list(tmp_path.iterdir())
