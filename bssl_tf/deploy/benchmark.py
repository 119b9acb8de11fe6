"""Times an exported file where it will run, and adds the times to its report.

report = benchmark(Path("model.tflite"), "android", tool="lce_benchmark_model", workdir=Path("runs/digits"))
print(report.markdown())
"""

import platform
from pathlib import Path
from typing import Any

from bssl_tf.console import console
from bssl_tf.deploy.papers import damaged_paper, papers, with_checksums
from bssl_tf.device.adb import AdbShell
from bssl_tf.device.machine import Machine
from bssl_tf.device.ssh import SshShell
from bssl_tf.device.timing import DeviceReport, time_on
from bssl_tf.device.tool import Shell, ToolMachine, check_tool
from bssl_tf.errors import ConfigError
from bssl_tf.file_sets import finish_set, write_set
from bssl_tf.files import fingerprint, read_json, write_bytes
from bssl_tf.locks import alone, lock_beside
from bssl_tf.models.spec import SPEC_FILE, read_spec
from bssl_tf.native_logs import import_tensorflow
from bssl_tf.runs import BACKBONE_FILES, Workdir

_HEADING = "\n## Time on the device\n\n"


def benchmark(
    file: Path, target: str, *, tool: str = "", device: str = "", tool_arguments: str = "", workdir: Path | None = None
) -> DeviceReport:
    """Time a file, beside a float twin of the same architecture and published numbers.

    Args:
        file: a .tflite file; the times go into its reports, in place of those of an earlier benchmark.
        target: android, ssh:HOST or host (this machine).
        tool: path of lce_benchmark_model for the device's processor; not for host.
        device: serial number of the phone, where several are connected.
        tool_arguments: more flags for the tool.
        workdir: the run of the file, for the float twin; None, or another run than the report names: no twin.

    Raises:
        ConfigError: no such file or target, or no finished stage 2 in the workdir.
        DeviceError: the device or the tool cannot be used.
    """
    if not file.is_file():
        raise ConfigError(f"--output={file} does not exist: convert first, with the same command without --benchmark.")
    with alone(lock_beside(file), f"--output={file}", "name another --output"):
        finish_set(file)
        earlier = _facts(file)
        machine, warning = _machine(target, tool, device, tool_arguments)
        console.print(f"timing {file} on {machine.description}", markup=False)
        files = {file.name: file}
        if workdir:
            if (twin := _twin(workdir, file, earlier)) is not None:
                files["its float twin"] = twin
        else:
            console.print("without --workdir there is no float twin to compare with")
        report = time_on(machine, files, warning=warning, log=console.print)
        _add_to_report(file, earlier, report)
    return report


def _machine(target: str, tool: str, device: str, tool_arguments: str) -> tuple[Machine, str]:
    """Where to time, and a warning for the reader; empty if there is none."""
    if target == "host":
        import_tensorflow()
        from bssl_tf.deploy.interpreter import TfliteNetwork
        from bssl_tf.device.host import X86_WARNING, Host

        return Host(TfliteNetwork), "" if platform.machine() in ("aarch64", "arm64") else X86_WARNING
    if target == "android":
        shell: Shell = AdbShell(device)
    elif target.startswith("ssh:"):
        shell = SshShell(target.partition(":")[2])
    else:
        raise ConfigError(f"--benchmark={target} is unknown: give android, ssh:HOST or host.")
    return ToolMachine(shell, check_tool(tool), tool_arguments), ""


def _twin(workdir: Path, file: Path, report: dict[str, Any]) -> Path | None:
    """The float twin of the run's student as a file, converted once; None if the file holds another network.

    It lies in a folder of its own, since evaluate.py measures every .tflite file of a workdir.
    """
    folder = Workdir(workdir).stage(2).path
    missing = [name for name in BACKBONE_FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"--workdir={workdir} holds no finished stage 2, so there is no twin to build.")
    if not _came_from(folder, report):
        console.print(
            f"{file.with_suffix('.json')} does not say that {file.name} is the student of --workdir={workdir}: "
            "there is no float twin to compare with",
            markup=False,
        )
        return None
    twin = file.parent / "float_twin" / f"{fingerprint(folder / SPEC_FILE)}.tflite"
    if not twin.exists():
        import_tensorflow()
        from bssl_tf.deploy import convert_backbone
        from bssl_tf.models import build_float_twin

        console.print("converting the float twin …")
        write_bytes(twin, convert_backbone(build_float_twin(read_spec(folder))))
    return twin


def _came_from(folder: Path, report: dict[str, Any]) -> bool:
    """Whether the report is on the backbone in a folder."""
    extra = report.get("extra")
    source = extra.get("source") if isinstance(extra, dict) else None
    weights = "-".join(fingerprint(folder / name) for name in BACKBONE_FILES)
    return isinstance(source, dict) and source.get("weights") == weights


def _facts(file: Path) -> dict[str, Any]:
    """The report for programs that lies beside a file."""
    facts = file.with_suffix(".json")
    return read_json(facts, dict, "convert again, with --overwrite") if facts.exists() else {"file": file.name}


def _add_to_report(file: Path, earlier: dict[str, Any], report: DeviceReport) -> None:
    """Put the times into both reports of the file, as one; those of an earlier benchmark are replaced."""
    text = file.with_suffix(".md")
    before = f"# {file.name}\n"
    if text.exists():
        before = text.read_text(encoding="utf-8", errors="replace").split(_HEADING)[0]
    markdown = before + _HEADING + report.markdown() + "\n"
    content = earlier | {"device": report.as_dict()}
    if damaged_paper(file, earlier) is None:  # else they must not pass for whole ones now
        content = with_checksums(content, markdown)
    write_set(file, papers(file, content, markdown))
