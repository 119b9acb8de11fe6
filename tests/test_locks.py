"""The second process is told who works there; a lock ends with its process."""

import os
import signal
import subprocess
import sys

import pytest

from bssl_tf.errors import UserError
from bssl_tf.locks import InUse, alone, lock_beside, lock_in

HOLDER = """
import sys, time
from pathlib import Path
from bssl_tf.locks import alone
with alone(Path(sys.argv[1]), "x", "y"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the folder."""
    command = [sys.executable, "-c", HOLDER, str(lock_in(tmp_path))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def take(folder):
    return alone(lock_in(folder), f"--workdir={folder}", "name another --workdir")


def test_the_second_is_told_who_holds_it_since_when_and_where(holder, tmp_path):
    with pytest.raises(InUse) as refusal:
        take(tmp_path).__enter__()
    message = str(refusal.value)
    assert f"--workdir={tmp_path} is in use since 20" in message
    assert f"by process {holder.pid} on {os.uname().nodename}" in message
    assert str(lock_in(tmp_path)) in message  # its command line
    assert "name another --workdir" in message


def test_a_lock_ends_with_its_process_however_that_ends(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with take(tmp_path):
        pass


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_a_damaged_word_on_the_holder_is_no_traceback(holder, tmp_path, text):
    (tmp_path / ".lock.json").write_text(text)
    with pytest.raises(InUse, match="by another process"):
        take(tmp_path).__enter__()


def test_nothing_is_left_and_it_can_be_taken_again(tmp_path):
    for _ in range(2):
        with take(tmp_path), pytest.raises(UserError):
            take(tmp_path).__enter__()  # within one process, too
    assert not list(tmp_path.iterdir())


def test_a_lock_beside_a_file_is_its_own(tmp_path):
    with alone(lock_beside(tmp_path / "a.tflite"), "a", ""), alone(lock_beside(tmp_path / "b.tflite"), "b", ""):
        pass
