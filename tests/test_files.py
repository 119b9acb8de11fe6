import json
import os

import pytest

from bssl_tf import files


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


def test_sizes_are_told_in_units_of_people():
    assert [files.size_text(count) for count in (12, 1234, 5.6e6, 3.14159e9, 2e12)] == [
        "12 bytes", "1.23 kB", "5.6 MB", "3.14 GB", "2 TB"
    ]  # fmt: skip
