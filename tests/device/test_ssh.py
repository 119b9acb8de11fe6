"""The driver for boards against test doubles of ssh and scp: no board is measured here."""

import os
from pathlib import Path

import pytest

from bssl_tf.device.machine import DeviceError
from bssl_tf.device.ssh import SshShell
from bssl_tf.device.tool import ToolMachine

HERE = Path(__file__).parent
SSH = """#!/bin/sh
# A TEST DOUBLE for ssh: answers as a board would; measures nothing.
for command; do :; done
echo "a warning of ssh" >&2
case "$command" in
  mkdir*) exit $DOUBLE_MKDIR;;
  *uname*) printf '%s\\n' "$DOUBLE_SYSTEM"; printf 'Raspberry Pi 4 Model B Rev 1.4\\0';;
  *--graph=*) cat "$DOUBLE_OUTPUT";;
esac
exit $DOUBLE_STATUS
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    for name, text in (("ssh", SSH), ("scp", '#!/bin/sh\necho "$@" >> "$0.calls"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DOUBLE_SYSTEM", "Linux aarch64")
    monkeypatch.setenv("DOUBLE_OUTPUT", str(HERE / "profiled_2024.txt"))
    monkeypatch.setenv("DOUBLE_STATUS", "0")
    monkeypatch.setenv("DOUBLE_MKDIR", "0")
    return monkeypatch


def test_a_board_is_timed(board, tmp_path):
    shell = SshShell("pi@board")
    run = ToolMachine(shell, tmp_path / "ssh").time(tmp_path / "scp", 4, profile=True)
    assert shell.description == "Raspberry Pi 4 Model B Rev 1.4, Linux aarch64"
    assert run.milliseconds_by_kind["LceBconv2d"] == 40.0


def test_paths_that_scp_would_take_for_a_host_or_a_shell_for_words(board, tmp_path):
    board.chdir(tmp_path)
    ToolMachine(SshShell("pi@board"), Path("ssh")).time(Path("a:b c;d.tflite"), 1, profile=False)
    first, second = (tmp_path / "scp.calls").read_text().splitlines()
    assert first.endswith(f"-- {tmp_path}/ssh pi@board:/tmp/bssl_tf/benchmark_tool")
    assert second.endswith(f"-- {tmp_path}/a:b c;d.tflite pi@board:/tmp/bssl_tf/model0.tflite")


def test_boards_that_cannot_be_used(board):
    board.setenv("DOUBLE_SYSTEM", "Linux armv7l")
    with pytest.raises(DeviceError, match="pi@board runs Linux armv7l, but .* install the 64-bit system"):
        SshShell("pi@board")
    board.setenv("DOUBLE_STATUS", "255")
    with pytest.raises(DeviceError, match="pi@board cannot be reached: .*ssh-copy-id pi@board"):
        SshShell("pi@board")
    board.setenv("DOUBLE_STATUS", "0")
    board.setenv("DOUBLE_SYSTEM", "Linux aarch64")
    board.setenv("DOUBLE_MKDIR", "1")
    with pytest.raises(DeviceError, match="/tmp/bssl_tf cannot be made on pi@board: a warning"):
        SshShell("pi@board")
    with pytest.raises(DeviceError, match="names no host"):
        SshShell("-oProxyCommand=x")
