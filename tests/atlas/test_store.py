"""The session: nothing lost, nothing overwritten."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from bssl_tf.atlas.database import check_room
from bssl_tf.atlas.names import checked_class_name
from bssl_tf.atlas.store import Conflict, Label, SessionStore, Snapshot
from bssl_tf.errors import DiskFull, UserError


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "session.sqlite")


def classes_of(store):
    names = store.classes()
    return {path: names[label.class_id] for path, label in store.labels().items()}


def test_labels_are_there_after_a_restart(store):
    cat = store.add_class("cat")
    store.label(["a.png", "b\udcff.png"], cat, source="region")
    again = SessionStore(store.path)
    assert again.labels() == {"a.png": Label(cat, "region"), "b\udcff.png": Label(cat, "region")}
    assert again.classes() == {cat: "cat"} and again.revision == store.revision


def test_labels_are_of_the_same_files_in_every_encoding_of_the_system(tmp_path):
    program = (
        "import os, sys; from pathlib import Path\nfrom bssl_tf.atlas.store import SessionStore\n"
        "store, name = SessionStore(Path(sys.argv[1])), os.fsdecode(bytes.fromhex(sys.argv[2]))\n"
        "if not store.classes(): store.label([name], store.add_class('cat'))\n"
        "assert list(store.labels()) == [name], (store.labels(), name)"
    )
    name = "日本.png".encode().hex()
    for encoding in ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONUTF8": "1"}):
        command = [sys.executable, "-c", program, str(tmp_path / "session.sqlite"), name]
        done = subprocess.run(command, env=os.environ | encoding, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_killed_while_labelling_what_was_answered_is_kept(tmp_path):
    script = (
        "import sys; from pathlib import Path; from bssl_tf.atlas.store import SessionStore\n"
        "store = SessionStore(Path(sys.argv[1])); cat = store.add_class('cat')\n"
        "for number in range(100000): store.label([f'{number}.png'], cat); print(number, flush=True)"
    )
    path = tmp_path / "session.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True)
    answered = [writer.stdout.readline() for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    answered += writer.stdout.readlines()
    writer.wait()
    kept = SessionStore(path).labels()
    complete = [int(line) for line in answered if line.endswith("\n")]
    assert len(complete) >= 20 and all(f"{number}.png" in kept for number in complete)
    assert len(kept) <= len(complete) + 2


def test_two_windows_do_not_overwrite_each_other(store):
    cat, dog = store.add_class("cat"), store.add_class("dog")
    seen = store.revision
    store.label(["a.png", "b.png"], cat, seen=seen, window="one")
    with pytest.raises(Conflict, match="1 of these 2 photos"):
        store.label(["b.png", "c.png"], dog, seen=seen, window="two")
    assert classes_of(store) == {"a.png": "cat", "b.png": "cat"}
    store.label(["c.png"], dog, seen=seen, window="two")  # other photos: no conflict
    assert set(store.labels_since(seen)) == {"a.png", "b.png", "c.png"}


def test_two_processes_on_one_session_see_each_other(store):
    other = SessionStore(store.path)
    cat = store.add_class("cat")
    other.label(["a.png"], cat, window="other")
    with pytest.raises(Conflict):
        store.label(["a.png"], cat, seen=other.revision - 1)


def test_a_snapshot_is_of_one_revision_whoever_writes_meanwhile(store):
    cat = store.add_class("cat")
    store.label(["a.png"], cat)
    other = SessionStore(store.path)

    def write():
        for _ in range(50):
            other.remove_class(cat)
            other.undo()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(store.snapshot())
    assert {(tuple(each.classes), tuple(each.labels)) for each in seen} <= {((cat,), ("a.png",)), ((), ())}
    assert store.snapshot() == Snapshot(store.revision, store.classes(), store.labels())


def test_undo_and_redo_go_through_all_actions_of_a_window(store):
    cat = store.add_class("cat", "one")
    store.label(["a.png"], cat, window="one")
    store.label(["a.png", "b.png"], None, window="one")
    store.rename_class(cat, "tiger", "one")
    store.remove_class(cat, "one")
    states = []
    for _ in range(5):
        store.undo("one")
        states.append((list(store.classes().values()), classes_of(store)))
    assert states == [(["tiger"], {}), (["cat"], {}), (["cat"], {"a.png": "cat"}), (["cat"], {}), ([], {})]
    with pytest.raises(UserError, match="nothing to undo"):
        store.undo("one")
    assert store.redo("one") == "add class “cat”"
    assert store.redo("one") == "label 1 photo as “cat”"
    assert classes_of(store) == {"a.png": "cat"}


def test_a_new_action_ends_what_can_be_redone(store):
    cat = store.add_class("cat", "one")
    store.label(["a.png"], cat, window="one")
    store.undo("one")
    store.label(["b.png"], cat, window="one")
    with pytest.raises(UserError, match="nothing to redo"):
        store.redo("one")
    assert classes_of(store) == {"b.png": "cat"}


def test_undo_is_of_the_own_window_and_stops_at_the_work_of_others(store):
    cat, dog = store.add_class("cat", "one"), store.add_class("dog", "two")
    store.label(["a.png"], cat, window="one")
    store.label(["b.png"], dog, window="two")
    store.undo("one")
    assert classes_of(store) == {"b.png": "dog"}
    store.redo("one")
    store.label(["a.png"], dog, window="two")
    with pytest.raises(Conflict):
        store.undo("one")
    assert classes_of(store) == {"a.png": "dog", "b.png": "dog"}


def test_undo_and_redo_keep_the_name_that_another_window_has_given_since(store):
    cat = store.add_class("cat", "one")
    store.rename_class(cat, "tiger", "two")
    with pytest.raises(Conflict, match="renamed the class 'cat' since"):
        store.undo("one")  # would take the class away
    store.rename_class(cat, "lion", "one")
    store.rename_class(cat, "puma", "two")
    with pytest.raises(Conflict, match="renamed the class 'lion' since"):
        store.undo("one")
    assert store.classes() == {cat: "puma"}
    store.undo("two")
    assert store.undo("one") == "rename class “lion”" and store.classes() == {cat: "tiger"}
    store.rename_class(cat, "puma", "two")
    with pytest.raises(Conflict, match="renamed the class 'tiger' since"):
        store.redo("one")
    assert store.classes() == {cat: "puma"}


def test_a_class_that_another_window_has_removed_is_not_renamed(store):
    cat = store.add_class("cat", "one")
    store.rename_class(cat, "tiger", "one")
    store.remove_class(cat, "two")
    with pytest.raises(Conflict, match="does not exist any more"):
        store.undo("one")
    store.undo("two")
    assert store.classes() == {cat: "tiger"}


def test_undo_does_not_take_away_a_class_that_another_window_uses(store):
    cat = store.add_class("cat", "one")
    store.label(["a.png"], cat, window="two")
    with pytest.raises(Conflict, match="1 labels of another window"):
        store.undo("one")


def test_undo_reaches_back_over_a_restart(store):
    cat = store.add_class("cat", "closed window")
    store.label(["a.png"], cat, window="closed window")
    again = SessionStore(store.path)
    assert again.undo("new window") == "label 1 photo as “cat”"


def test_a_random_check_stays_one_whatever_class_it_gets(store):
    cat, dog = store.add_class("cat", "one"), store.add_class("dog", "one")
    store.label(["a.png"], cat, source="check", window="one")
    store.label(["a.png", "b.png"], dog, source="picked", window="one")
    relabelled = {"a.png": Label(dog, "check"), "b.png": Label(dog, "picked")}
    assert store.labels() == relabelled
    store.undo("one")
    assert store.labels() == {"a.png": Label(cat, "check")}
    store.redo("one")
    assert store.labels() == relabelled
    store.label(["a.png"], None, window="one")
    store.label(["a.png"], cat, source="region", window="one")
    assert store.labels()["a.png"] == Label(cat, "check")
    store.remove_class(cat, "one")
    store.label(["a.png"], dog, source="neighbours", window="one")
    assert store.labels() == relabelled
    for _ in range(6):
        store.undo("one")
    assert store.labels() == {}
    store.label(["a.png"], cat, window="one")  # the check has been taken back as a whole
    assert store.labels() == {"a.png": Label(cat, "picked")}


def test_another_file_is_not_taken_for_a_session(tmp_path):
    (tmp_path / "session.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(UserError, match="no session of this program"):
        SessionStore(tmp_path / "session.sqlite")


@pytest.mark.parametrize(
    "name", ["", "  ", "a/b", "a\\b", "..", ".hidden", "a\nb", "a\x00b", "train", "Test", "x" * 61, "Cat", "end."]
)
def test_class_names_that_cannot_be_folders_are_refused(name):
    with pytest.raises(UserError):
        checked_class_name(name, ["cat"])


@pytest.mark.parametrize("name", ["& 'quoted' onerror=alert(1)", "Straße 5", "日本", "a'b", "100 %", "-rf", "=1+1"])
def test_other_names_are_fine(name):
    assert checked_class_name(f" {name} ", ["cat"]) == name


def test_a_full_disk_changes_nothing_and_the_session_goes_on(store):
    cat = store.add_class("cat")
    store.label(["a.png"], cat)
    before, labels = store.revision, store.labels()
    pages = store._database.rows("PRAGMA page_count")[0][0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says of a full disk
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
            store.label([f"{'long' * 50}{number}.png" for number in range(100)], cat)
        assert store.labels() == labels and store.revision == before
    store._database.execute("PRAGMA max_page_count = 100000")
    store.label(["b.png"], cat)
    assert len(store.labels()) == 2 and store.revision == before + 1


def test_a_disk_without_room_for_a_session_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 1000))
    with pytest.raises(DiskFull, match="a session takes 400 kB at least, and 1 kB are free"):
        check_room(tmp_path)
