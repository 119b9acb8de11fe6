"""Times a converted file where it will run: ``convert.py --benchmark=android``, ``ssh:HOST`` or ``host``.

The times go into the file's report, beside a float twin of the same architecture and published numbers.
"""

import json
import platform
from pathlib import Path

from absl import flags

from bssl_tf.console import console
from bssl_tf.device.adb import AdbShell
from bssl_tf.device.machine import Machine
from bssl_tf.device.ssh import SshShell
from bssl_tf.device.timing import DeviceReport, time_on
from bssl_tf.device.tool import ToolMachine, check_tool
from bssl_tf.errors import ConfigError
from bssl_tf.files import fingerprint, write_bytes, write_json, write_text
from bssl_tf.native_logs import import_tensorflow
from bssl_tf.runs import BACKBONE_FILES

FLAG = "benchmark"
_HEADING = "\n## Time on the device\n\n"


def define_flags() -> None:
    flags.DEFINE_string(FLAG, "", "Time --output on android (through adb), ssh:HOST (a Raspberry Pi, say) or host.")
    flags.DEFINE_string("benchmark_tool", "", "lce_benchmark_model for the device's processor, on this machine.")
    flags.DEFINE_string("benchmark_device", "", "Serial number of the phone, where several are connected.")
    flags.DEFINE_string("benchmark_args", "", "More flags for the tool, such as --use_xnnpack=true.")


def main() -> None:
    arguments = flags.FLAGS
    file = Path(arguments.output)
    if not file.is_file():
        raise ConfigError(f"--output={file} does not exist: convert first, with the same command without --benchmark.")
    machine, warning = _machine(flags.FLAGS[FLAG].value)
    console.print(f"timing {file} on {machine.description}", markup=False)
    files = {file.name: file}
    if arguments.workdir:
        files["its float twin"] = _twin(Path(arguments.workdir), file)
    else:
        console.print("without --workdir there is no float twin to compare with")
    report = time_on(machine, files, warning=warning, tell=console.print)
    console.print("\n" + report.markdown(), markup=False)
    _add_to_report(file, report)
    console.print(f"[bold green]done[/]: also in {file.with_suffix('.md')} and {file.with_suffix('.json')}")


def _machine(target: str) -> tuple[Machine, str]:
    """Where to time, and what the reader must be told about it."""
    if target == "host":
        import_tensorflow()
        from bssl_tf.device.host import X86_WARNING, Host

        return Host(), "" if platform.machine() in ("aarch64", "arm64") else X86_WARNING
    if target == "android":
        shell = AdbShell(flags.FLAGS.benchmark_device)
    elif target.startswith("ssh:"):
        shell = SshShell(target.partition(":")[2])
    else:
        raise ConfigError(f"--benchmark={target} is not known: give android, ssh:HOST or host.")
    return ToolMachine(shell, check_tool(flags.FLAGS.benchmark_tool), flags.FLAGS.benchmark_args), ""


def _twin(workdir: Path, file: Path) -> Path:
    """The float twin of the run's student as a file; converted once.

    It lies in a folder of its own, since evaluate.py measures every .tflite file of a workdir.
    """
    spec_file = workdir / "stage2" / BACKBONE_FILES[0]
    if not spec_file.is_file():
        raise ConfigError(f"--workdir={workdir} holds no finished stage 2, so there is no twin to build.")
    twin = file.parent / "float_twin" / f"{fingerprint(spec_file)}.tflite"
    if not twin.exists():
        import_tensorflow()
        from bssl_tf.deploy import convert_backbone
        from bssl_tf.models import BackboneSpec, build_float_twin

        console.print("converting the float twin …")
        write_bytes(twin, convert_backbone(build_float_twin(BackboneSpec.from_json(spec_file.read_text()))))
    return twin


def _add_to_report(file: Path, report: DeviceReport) -> None:
    """Put the times into the report of the file; those of an earlier benchmark are replaced."""
    facts, text = file.with_suffix(".json"), file.with_suffix(".md")
    content = json.loads(facts.read_text()) if facts.exists() else {"file": file.name}
    write_json(facts, content | {"device": report.as_dict()})
    before = text.read_text().split(_HEADING)[0] if text.exists() else f"# {file.name}\n"
    write_text(text, before + _HEADING + report.markdown() + "\n")
