"""An Android phone, reached through Android's debug bridge (``adb``; Debian's package has the real one)."""

import re
from pathlib import Path

from bssl_tf.device.machine import SECONDS_TO_RUN, DeviceError, run_program

ABI = "arm64-v8a"
_STATUS = "bssl_tf exit status:"
_REMEDIES = {
    "unauthorized": "unlock the phone and allow debugging by this computer in the dialogue it shows, then try again",
    "offline": "reconnect the cable, or switch USB debugging off and on; `adb kill-server` helps too",
    "no permissions": "give your user access to USB devices (udev rules; Debian: apt-get install "
    "android-sdk-platform-tools-common), then reconnect the cable",
    "recovery": "start the phone as usual",
    "sideload": "start the phone as usual",
    "bootloader": "start the phone as usual",
}


class AdbShell:
    """The one phone that is connected, or the one named.

    Args:
        serial: as `adb devices` lists it; empty if there is one phone only.

    Raises:
        DeviceError: no phone, several, one that is not authorised, or without 64-bit ARM; each with the remedy.
    """

    folder = "/data/local/tmp/bssl_tf"

    def __init__(self, serial: str = "") -> None:
        self._adb = ["adb", "-s", _choose(_devices(), serial)]
        model, release, abis = (
            self._property(name) for name in ("ro.product.model", "ro.build.version.release", "ro.product.cpu.abilist")
        )
        own, _, _ = abis.partition(",")  # the first one is the processor's; an emulator may translate others
        self.description = f"{model}, Android {release}, {own}"
        if own != ABI:
            raise DeviceError(
                f"{model} runs {abis or 'an unknown instruction set'}, but Larq Compute Engine's kernels need {ABI}. "
                "Use a phone with 64-bit ARM and a 64-bit Android (an emulator on a PC has neither)."
            )
        status, output = self.run(f"mkdir -p {self.folder}")
        if status:
            raise DeviceError(f"{self.folder} cannot be made on {self.description}: {output.strip()}")

    def copy(self, file: Path, name: str) -> None:
        """As `Shell.copy`."""
        push = [*self._adb, "push", str(file.absolute()), f"{self.folder}/{name}"]
        done = run_program(push, seconds=SECONDS_TO_RUN)
        if done.returncode:
            reason = _last_line(done.stdout + done.stderr)
            remedy = "free some space on the phone" if "No space" in reason else "check cable and phone"
            raise DeviceError(f"{file.name} cannot be copied to {self.description}: {reason}; {remedy}, and try again.")

    def run(self, command: str) -> tuple[int, str]:
        """As `Shell.run`. The status is printed and read back: adb itself gives it only from Android 7 on."""
        shell = [*self._adb, "shell", f"{command}; echo {_STATUS}$?"]
        done = run_program(shell, seconds=SECONDS_TO_RUN)
        output = done.stdout + done.stderr
        status = re.search(rf"{_STATUS}(\d+)", output)
        if status is None:
            raise DeviceError(
                f"The connection to the phone broke: {_last_line(output)}. Check the cable, unlock the phone, and try "
                "again."
            )
        return int(status[1]), output[: status.start()]

    def _property(self, name: str) -> str:
        return self.run(f"getprop {name}")[1].strip()


def _devices() -> dict[str, str]:
    """Serial number → state of all phones that adb lists."""
    done = run_program(["adb", "devices"])
    if done.returncode:
        raise DeviceError(f"adb does not work: {_last_line(done.stdout + done.stderr)}.")
    listed = done.stdout.partition("List of devices attached")[2]
    return dict(line.split("\t", 1) for line in listed.splitlines() if "\t" in line)


def _choose(devices: dict[str, str], serial: str) -> str:
    if not devices:
        raise DeviceError(
            "adb sees no phone: connect one by USB, switch on its developer options and USB debugging in them, and "
            "look whether `adb devices` lists it."
        )
    if serial and serial not in devices:
        raise DeviceError(f"--benchmark_device={serial} is not connected; adb lists {', '.join(devices)}.")
    if not serial and len(devices) > 1:
        raise DeviceError(
            f"adb sees {len(devices)} phones: choose one with --benchmark_device, of "
            + ", ".join(f"{name} ({state})" for name, state in devices.items())
            + "."
        )
    (chosen,) = [serial] if serial else devices
    state = devices[chosen]
    if state != "device":
        remedy = next((text for start, text in _REMEDIES.items() if state.startswith(start)), "reconnect it")
        raise DeviceError(f"The phone {chosen} is {state.split(';')[0]}: {remedy}.")
    return chosen


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else "it said nothing"
