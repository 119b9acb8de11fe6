"""A session is of one folder of photos: labels of other photos are never taken for those of these."""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bssl_tf.atlas.belonging import FILE, claim
from bssl_tf.atlas.store import SessionStore
from bssl_tf.errors import ConfigError
from tests.atlas.conftest import Digits
from tests.atlas.serving import serving


@pytest.fixture
def cards(tmp_path):
    """Two folders of one name."""
    folders = [tmp_path / card / "DCIM" for card in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


@pytest.fixture
def session(tmp_path, cards):
    """As the first card leaves it: DCIM.atlas, with a label."""
    folder = tmp_path / "DCIM.atlas"
    folder.mkdir()
    assert claim(folder, cards[0], is_named=False) is None
    store = SessionStore(folder / FILE)
    store.label(["IMG_1.png"], store.add_class("cat"))
    store.close()
    return folder


def test_another_folder_of_the_same_name_does_not_get_the_session(session, cards):
    sentence = f"--photos={cards[1]}: the session {session} holds labels of {cards[0]}, not of {cards[1]}. Name"
    with pytest.raises(ConfigError, match=re.escape(f"{sentence} another --session")):
        claim(session, cards[1], is_named=False)
    assert claim(session, cards[0], is_named=False) is None  # it is still of the first


def test_a_named_session_follows_photos_that_have_moved(session, cards):
    assert claim(session, cards[1], is_named=True) == cards[0]
    assert claim(session, cards[1], is_named=False) is None
    with pytest.raises(ConfigError):
        claim(session, cards[0], is_named=False)
    assert list(SessionStore(session / FILE).labels()) == ["IMG_1.png"]


def test_a_session_that_does_not_say_whose_it_is_is_taken_as_it_is(session, cards):
    with sqlite3.connect(session / FILE) as connection:
        connection.execute("DELETE FROM facts WHERE name = 'photos'")
    connection.close()
    assert claim(session, cards[1], is_named=False) is None
    with pytest.raises(ConfigError):
        claim(session, cards[0], is_named=False)


def test_links_and_bytes_that_are_no_utf8_in_names_of_folders(session, tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    (tmp_path / "link").symlink_to(odd)
    claim(session, odd, is_named=True)
    assert claim(session, tmp_path / "link", is_named=False) is None


def test_the_command_refuses_before_any_work(session, cards, tmp_path):
    model = tmp_path / "model.tflite"
    model.touch()
    command = [sys.executable, "-m", "bssl_tf.cli.atlas", f"--model={model}", f"--photos={cards[1]}", "--nobrowser"]
    paths = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and not done.stdout
    assert str(cards[0]) in done.stderr and str(cards[1]) in done.stderr and "another --session" in done.stderr


def test_the_command_opens_a_named_session_for_photos_that_have_moved(session, cards, tmp_path):
    model = tmp_path / "model.tflite"
    model.touch()
    with serving(Digits(cards[1], {}, tmp_path, model), session) as server:
        assert server.ask("GET", f"/{server.token}/")[0] == 200
    assert claim(session, cards[1], is_named=False) is None
