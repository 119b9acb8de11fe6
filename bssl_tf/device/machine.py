"""What a machine to time on must be able to do, and how programs that reach it are started."""

import subprocess
from pathlib import Path
from typing import Protocol

from bssl_tf.device.tool_output import ToolRun
from bssl_tf.errors import UserError

SECONDS_TO_ANSWER = 60
SECONDS_TO_RUN = 900


class DeviceError(UserError):
    """The device cannot be used as it is; the message says why, and what to do."""


class Machine(Protocol):
    """A place where .tflite files are timed.

    Attributes:
        description: model, system and processor, for the report.
        profiles: whether it can time each operator.
    """

    description: str
    profiles: bool

    def time(self, file: Path, threads: int, *, profile: bool) -> ToolRun:
        """Time a file; with `profile`, each of its operators too."""
        ...


def run_program(command: list[str], *, seconds: float = SECONDS_TO_ANSWER) -> subprocess.CompletedProcess:
    """Run a program to its end, whatever its exit status.

    Raises:
        DeviceError: it is not installed, or did not end in time.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, errors="replace")
    except FileNotFoundError:
        raise DeviceError(
            f"{command[0]} is not installed: on Debian, apt-get install {_PACKAGES[command[0]]}."
        ) from None
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{command[0]} has had no answer for {seconds:.0f} s: see whether the device is awake and waits for an "
            "answer of yours, check cable or network, and try again."
        ) from None


_PACKAGES = {"adb": "adb", "ssh": "openssh-client", "scp": "openssh-client"}
