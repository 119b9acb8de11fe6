"""Drives ``lce_benchmark_model`` on a machine that copies files and runs commands, whichever way it is reached."""

from pathlib import Path
from typing import Protocol

from bssl_tf.device.machine import DeviceError
from bssl_tf.device.tool_output import ToolRun, UnreadableOutput, parse

WARM_UP_RUNS = 5
REPEATS = 50
_ELF_MACHINES = {0x3E: "x86-64", 0x28: "32-bit ARM", 0xB7: "64-bit ARM", 0x03: "32-bit x86"}
_SIGNALS = {4: "an illegal instruction", 6: "an abort", 9: "a kill, perhaps for memory", 11: "a bad memory access"}
_KILLED = 128
_TOOL = "benchmark_tool"


class Shell(Protocol):
    """A machine with a folder of ours and a shell."""

    description: str
    folder: str

    def copy(self, file: Path, name: str) -> None:
        """Copy a file into the folder, under a name that needs no quotes."""
        ...

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; its exit status and output."""
        ...


def check_tool(path: str) -> Path:
    """The benchmark tool that the user has, if it can run on 64-bit ARM.

    Raises:
        DeviceError: there is none, or it is for another processor.
    """
    remedy = (
        "Take it from the releases of Larq Compute Engine on GitHub, lce_benchmark_model_android_arm64 for a phone or "
        "lce_benchmark_model_aarch64 for a board with Linux, and name it with --benchmark_tool."
    )
    tool = Path(path)
    if not path or not tool.is_file():
        raise DeviceError(f"--benchmark_tool={path or '(not set)'} is no file. {remedy}")
    with open(tool, "rb") as file:
        head = file.read(20)
    if head[:4] == b"\x7fELF" and len(head) < 20:
        raise DeviceError(f"--benchmark_tool={tool} is cut short: it has {len(head)} bytes. {remedy}")
    if head[:4] == b"\x7fELF" and head[18] != 0xB7:
        kind = _ELF_MACHINES.get(head[18], f"processor {head[18]}")
        raise DeviceError(f"--benchmark_tool={tool} is a program for {kind}, not for 64-bit ARM. {remedy}")
    return tool


class ToolMachine:
    """A machine that is timed with the benchmark tool.

    Args:
        shell: how to reach it.
        tool: the tool, here; it is copied once.
        extra: more flags for the tool.
    """

    profiles = True

    def __init__(self, shell: Shell, tool: Path, extra: str = "") -> None:
        self.description = shell.description
        self._shell, self._extra = shell, extra
        self._tool = f"{shell.folder}/{_TOOL}"
        self._copied: dict[Path, str] = {}
        shell.copy(tool, _TOOL)
        status, output = shell.run(f"chmod +x {self._tool}")
        if status:
            raise DeviceError(f"The tool cannot be made executable on {self.description}: {output.strip()}")

    def time(self, file: Path, threads: int, *, profile: bool) -> ToolRun:
        """As `Machine.time`.

        Raises:
            DeviceError: the tool crashed, refused the file, or printed something else than timings.
        """
        if file not in self._copied:
            name = f"model{len(self._copied)}.tflite"
            self._shell.copy(file, name)
            self._copied[file] = name
        command = (
            f"{self._tool} --graph={self._shell.folder}/{self._copied[file]}"
            f" --num_threads={threads} --warmup_runs={WARM_UP_RUNS} --num_runs={REPEATS}"
            f" --enable_op_profiling={str(profile).lower()} {self._extra}"
        ).strip()
        status, output = self._shell.run(command)
        if status:
            raise DeviceError(self._failure(file, status, output))
        try:
            return parse(output)
        except UnreadableOutput as error:
            raise DeviceError(
                f"The benchmark tool ended on {self.description}, but: {error} Is it lce_benchmark_model? The end of "
                f"its output:\n{_end(output)}"
            ) from error

    def _failure(self, file: Path, status: int, output: str) -> str:
        if status > _KILLED:
            number = status - _KILLED
            cause = f"crashed with {_SIGNALS.get(number, f'signal {number}')}"
        else:
            cause = f"ended with status {status}"
        if "not executable" in output or "Exec format error" in output or "No such file" in output:
            remedy = "The tool is for another system: take the one for Android on a phone, for Linux on a Pi."
        elif "GLIBC" in output:
            remedy = "The system is too old for this build of the tool: update it, or build the tool on it."
        elif "unresolved custom op" in output.lower() or ("Lce" in output and "registered" in output.lower()):
            remedy = "The tool lacks Larq Compute Engine's operators: take lce_benchmark_model, not benchmark_model."
        else:
            remedy = (
                "Try `--benchmark=host`, which runs the same file here; if that works, take a tool of the same version "
                "as larq-compute-engine."
            )
        return (
            f"The benchmark tool {cause} on {self.description} with {file.name}. {remedy} The end of its output:\n"
            f"{_end(output)}"
        )


def _end(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-12:])
