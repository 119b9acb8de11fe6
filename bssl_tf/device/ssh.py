"""A Linux board such as a Raspberry Pi, reached by ssh with a key."""

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
        status, output = self.run(
            f"mkdir -p {self.folder} && uname -sm && cat /proc/device-tree/model 2>/dev/null; true"
        )
        system, _, model = (output.replace("\0", "") + "\n").partition("\n")
        self.description = ", ".join(part for part in (model.strip() or host, system.strip()) if part)
        if status or not system.endswith(("aarch64", "arm64")):
            raise DeviceError(
                f"{host} runs {system or 'an unknown system'}, but Larq Compute Engine's kernels need 64-bit ARM "
                "(aarch64). A Raspberry Pi from the 3 on has it: install the 64-bit system on it."
            )

    def copy(self, file: Path) -> None:
        target = f"{self._host}:{self.folder}/{file.name}"
        done = run_program(["scp", "-q", *_OPTIONS, "--", str(file), target], seconds=SECONDS_TO_RUN)
        if done.returncode:
            raise DeviceError(f"{file.name} cannot be copied to {self._host}: {done.stderr.strip()}")

    def run(self, command: str) -> tuple[int, str]:
        """As `Shell.run`."""
        done = run_program(["ssh", *_OPTIONS, "--", self._host, command], seconds=SECONDS_TO_RUN)
        if done.returncode == _SSH_FAILED:
            reason = (done.stderr.strip().splitlines() or ["ssh gave up"])[-1].rstrip(".")
            raise DeviceError(
                f"{self._host} cannot be reached: {reason}. Log in there once by hand (ssh {self._host}) and "
                f"put your key there (ssh-copy-id {self._host}), so that no password is asked for."
            )
        return done.returncode, done.stdout + done.stderr
