"""A Linux board such as a Raspberry Pi, reached by ssh with a key."""

import subprocess
from pathlib import Path

from bssl_tf.device.machine import SECONDS_TO_RUN, DeviceError, run_program

_OPTIONS = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
_SSH_FAILED = 255


class SshShell:
    """A board.

    Args:
        host: as ssh takes it, such as pi@raspberrypi.local.

    Raises:
        DeviceError: it cannot be reached, or has no 64-bit ARM system; each with the remedy.
    """

    folder = "/tmp/bssl_tf"

    def __init__(self, host: str) -> None:
        if not host or host.startswith("-"):
            raise DeviceError(f"--benchmark=ssh:{host} names no host: give ssh:HOST or ssh:USER@HOST.")
        self._host, self.description = host, host
        found = self._ssh("uname -sm; cat /proc/device-tree/model 2>/dev/null; true").stdout
        system, _, model = (found.replace("\0", "") + "\n").partition("\n")
        self.description = ", ".join(part for part in (model.strip() or host, system.strip()) if part)
        if not system.endswith(("aarch64", "arm64")):
            raise DeviceError(
                f"{host} runs {system or 'an unknown system'}, but Larq Compute Engine's kernels need 64-bit ARM "
                "(aarch64). A Raspberry Pi from the 3 on has it: install the 64-bit system on it."
            )
        status, output = self.run(f"mkdir -p {self.folder}")
        if status:
            raise DeviceError(f"{self.folder} cannot be made on {host}: {output.strip()}. Free some space there.")

    def copy(self, file: Path, name: str) -> None:
        """As `Shell.copy`. scp takes a path with a colon for a host unless it begins with a slash."""
        target = f"{self._host}:{self.folder}/{name}"
        done = run_program(["scp", "-q", *_OPTIONS, "--", str(file.absolute()), target], seconds=SECONDS_TO_RUN)
        if done.returncode:
            raise DeviceError(f"{file.name} cannot be copied to {self._host}: {done.stderr.strip()}")

    def run(self, command: str) -> tuple[int, str]:
        """As `Shell.run`."""
        done = self._ssh(command)
        return done.returncode, done.stdout + done.stderr

    def _ssh(self, command: str) -> subprocess.CompletedProcess:
        done = run_program(["ssh", *_OPTIONS, "--", self._host, command], seconds=SECONDS_TO_RUN)
        if done.returncode == _SSH_FAILED:
            reason = (done.stderr.strip().splitlines() or ["ssh gave up"])[-1].rstrip(".")
            raise DeviceError(
                f"{self._host} cannot be reached: {reason}. Log in there once by hand (ssh {self._host}) and "
                f"put your key there (ssh-copy-id {self._host}), so that no password is asked for."
            )
        return done
