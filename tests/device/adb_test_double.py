#!/usr/bin/env python3
"""A TEST DOUBLE for adb: it answers as Android's debug bridge would with the phones that $ADB_DOUBLE describes.

It is no phone and measures nothing: the timings that it prints are fixed. It notes its command lines in
$ADB_DOUBLE/calls and "pushes" files into $ADB_DOUBLE/phone. $ADB_DOUBLE/settings.json says what it plays.
"""

import json
import os
import shutil
import sys
from pathlib import Path

HOME = Path(os.environ["ADB_DOUBLE"])
SETTINGS = json.loads((HOME / "settings.json").read_text())
PROPERTIES = {
    "ro.product.model": "Test Double",
    "ro.build.version.release": "13",
    "ro.product.cpu.abilist": SETTINGS.get("abis", "arm64-v8a,armeabi-v7a"),
}


def shell(command):
    """Output and exit status of what the phone would run."""
    if command.startswith("getprop "):
        return PROPERTIES[command.split()[1]] + "\n", 0
    if "--graph=" in command:
        if SETTINGS.get("crash"):
            return SETTINGS["crash"]["output"], SETTINGS["crash"]["status"]
        file = Path(command.split("--graph=")[1].split()[0])
        if not (HOME / "phone" / file.name).is_file():
            return f"Failed to mmap model {file}\n", 1
        profiled = "--enable_op_profiling=true" in command
        return (HOME / ("profiled.txt" if profiled else "plain.txt")).read_text(), 0
    return "", 0


def main(arguments):
    with open(HOME / "calls", "a") as calls:
        calls.write(" ".join(arguments) + "\n")
    if arguments == ["devices"]:
        print("List of devices attached")
        for serial, state in SETTINGS["devices"].items():
            print(f"{serial}\t{state}")
        print()
        return 0
    assert arguments[0] == "-s" and SETTINGS["devices"][arguments[1]] == "device", arguments
    action, *rest = arguments[2:]
    if action == "push":
        if SETTINGS.get("full"):
            print("adb: error: failed to copy: remote couldn't create file: No space left on device", file=sys.stderr)
            return 1
        (HOME / "phone").mkdir(exist_ok=True)
        shutil.copy(rest[0], HOME / "phone" / Path(rest[1]).name)
        return 0
    assert action == "shell", action
    if SETTINGS.get("unplugged"):
        print("error: device not found", file=sys.stderr)
        return 1
    command, _, marker = rest[0].rpartition("; echo ")
    output, status = shell(command)
    print(output + marker.replace("$?", str(status)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
