"""Times a converted file where it will run: ``convert.py --benchmark=android``, ``ssh:HOST`` or ``host``.

The times go into the file's report, beside a float twin of the same architecture and published numbers.
"""

from pathlib import Path

from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.console import console
from bssl_tf.deploy.benchmark import benchmark

FLAG = "benchmark"
FLAGS = (FLAG, "benchmark_tool", "benchmark_device", "benchmark_args")
USED = ("output", "workdir")
"""Flags of other jobs that this one uses."""


def define_flags() -> None:
    flags.DEFINE_string(FLAG, "", "Time --output on android (through adb), ssh:HOST (a Raspberry Pi, say) or host.")
    flags.DEFINE_string("benchmark_tool", "", "lce_benchmark_model for the device's processor, on this machine.")
    flags.DEFINE_string("benchmark_device", "", "Serial number of the phone, where several are connected.")
    flags.DEFINE_string("benchmark_args", "", "More flags for the tool, such as --use_xnnpack=true.")


def main() -> None:
    arguments, file = flags.FLAGS, Path(flags.FLAGS.output)
    target, idle = arguments[FLAG].value, {}
    if target != "android":
        idle["benchmark_device"] = "is for --benchmark=android"
    if target == "host":
        idle |= dict.fromkeys(("benchmark_tool", "benchmark_args"), "is for --benchmark=android or ssh:HOST")
    configuration.refuse_without_effect(idle)
    report = benchmark(
        file,
        target,
        tool=arguments.benchmark_tool,
        device=arguments.benchmark_device,
        tool_arguments=arguments.benchmark_args,
        workdir=Path(arguments.workdir) if arguments.workdir else None,
    )
    console.print("\n" + report.markdown(), markup=False)
    console.print(f"[bold green]done[/]: also in {file.with_suffix('.md')} and {file.with_suffix('.json')}")
