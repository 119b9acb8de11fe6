"""The papers of a .tflite file: ``model.json`` for programs and ``model.md`` for people, next to it."""

import hashlib
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from bssl_tf import __version__
from bssl_tf.deploy.analysis.plan import DeploymentPlan, bytes_text, count_text
from bssl_tf.deploy.flatbuffer.inspect import METADATA, FileReport, TensorInfo
from bssl_tf.deploy.parity import Parity

_PACKAGES = ("tensorflow", "tf_keras", "larq", "larq-compute-engine", "numpy")


def differences(file_report: FileReport, plan: DeploymentPlan) -> list[str]:
    """Where the file is not what the plan promised; empty if all is well."""
    found = []
    binary = file_report.operators.get("LceBconv2d", 0)
    if binary != plan.binary_convolutions:
        found.append(
            f"The plan has {plan.binary_convolutions} binary convolutions, the file has {binary}."
            " Convolutions with float kernels (a stage 1 network) stay float."
        )
    off = (file_report.file_bytes - file_report.constant_bytes[METADATA]) / plan.file_bytes - 1
    if abs(off) > 0.1:
        found.append(f"The file is {off:+.0%} off the projected size of {bytes_text(plan.file_bytes)}.")
    return found


def make_report(
    name: str,
    file_content: bytes,
    file_report: FileReport,
    plan: DeploymentPlan,
    parity: Parity | None,
    command: str,
    extra: dict[str, Any] | None = None,
    *,
    unfolded: dict[str, int] | None = None,
    fewest_bytes: int | None = None,
    rounded: Parity | None = None,
    unrounded: FileReport | None = None,
) -> tuple[dict[str, Any], str]:
    """The report on a .tflite file, for programs and for people.

    Args:
        name: of the file.
        file_content: its bytes.
        file_report: of `inspect_file`.
        plan: of `deployment_plan`.
        parity: of `compare`; None where nothing was compared, which the report says.
        command: the command line that made the file.
        extra: more entries, such as the run's settings; values that JSON can hold.
        unfolded: operators of the same network without folding, kind → count, shown beside.
        fewest_bytes: of `folding.fewest_bytes`, beside the bytes of the file.
        rounded: of `compare`, of the file with float weights in fewer bits; `parity` is then that of all bits.
        unrounded: of `inspect_file`, of the same file with all bits of its float weights, which the plan is on; None:
            `file_report`.

    Returns:
        Content of the .json and of the .md file.
    """
    content = {
        "file": name,
        "sha256": hashlib.sha256(file_content).hexdigest(),
        "bytes": file_report.file_bytes,
        "inputs": [_tensor(tensor) for tensor in file_report.inputs],
        "outputs": [_tensor(tensor) for tensor in file_report.outputs],
        "operators": file_report.operators,
        "operators_unfolded": unfolded,
        "constant_bytes": file_report.constant_bytes,
        "name_bytes": file_report.name_bytes,
        "structure_bytes": file_report.structure_bytes,
        "fewest_bytes": fewest_bytes,
        "plan": plan.as_dict(),
        "differences_to_plan": differences(unrounded or file_report, plan),
        "parity": None if parity is None else parity.as_dict(),
        "parity_rounded": None if rounded is None else rounded.as_dict(),
        "command": command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "extra": extra or {},
    }
    return content, _markdown(content, file_report, plan, parity, rounded)


def _tensor(tensor: TensorInfo) -> dict[str, Any]:
    return vars(tensor) | {"shape": list(tensor.shape)}


def versions() -> dict[str, str]:
    """Of this package and those that the content of a file depends on."""
    return {
        "bssl_tf": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _markdown(
    content: dict, file_report: FileReport, plan: DeploymentPlan, parity: Parity | None, rounded: Parity | None
) -> str:
    bytes_rows = [(kind, f"{size:,}") for kind, size in file_report.constant_bytes.items() if size]
    bytes_rows += [
        ("names of tensors", f"{file_report.name_bytes:,}"),
        ("structure", f"{file_report.structure_bytes:,}"),
        ("**file**", f"**{file_report.file_bytes:,}**"),
    ]
    if content["fewest_bytes"]:
        bytes_rows.append(("least that the network's numbers take", f"{content['fewest_bytes']:,}"))
    notes = [*content["differences_to_plan"], *plan.warnings]
    sections = [
        f"# {content['file']}",
        f"{bytes_text(file_report.file_bytes)}, made on {content['date']} by\n\n    {content['command']}",
        "## In and out",
        _table(
            ("", "name", "type", "shape", "name in the graph"),
            [
                (
                    way,
                    f"`{tensor.name}`",
                    tensor.dtype,
                    "×".join(map(str, tensor.shape)),
                    f"`{tensor.tensor_name}`",
                )
                for way, tensors in (("input", file_report.inputs), ("output", file_report.outputs))
                for tensor in tensors
            ],
        ),
        "The input takes pixels in 0..255 as they are; the network normalises them itself.",
        "## Does it compute what the Keras network computes?",
        _compared(parity, rounded),
        "## Work for one image",
        (f"{count_text(plan.binary_macs)} binary and {count_text(plan.float_macs)} float multiply-accumulates."),
        "## Operators",
        _operators(content["operators"], content["operators_unfolded"]),
        "## Bytes",
        _table(("kind", "bytes"), bytes_rows),
        *(["## Notes", "\n".join(f"- {note}" for note in notes)] if notes else []),
        *(["## Made from", _table(("", ""), _flat(content["extra"]))] if content["extra"] else []),
        "## Versions",
        ", ".join(f"{name} {number}" for name, number in content["versions"].items()),
    ]
    return "\n\n".join(sections) + "\n"


def _compared(parity: Parity | None, rounded: Parity | None) -> str:
    if parity is None:
        return "Not compared."
    answer = f"{'Yes' if parity.ok else '**No**'}: {parity}."
    if rounded is None:
        return answer
    return f"With all bits of its float weights: {answer}\n\nThis file, which has fewer, is near it: {rounded}."


def _operators(counts: dict[str, int], unfolded: dict[str, int] | None) -> str:
    if unfolded is None:
        return _table(("operator", "count"), [(name, str(count)) for name, count in counts.items()])
    rows = [(name, str(counts.get(name, 0)), str(unfolded.get(name, 0))) for name in {**counts, **unfolded}]
    rows.append(("**all**", f"**{sum(counts.values())}**", f"**{sum(unfolded.values())}**"))
    return _table(("operator", "count", "without folding"), rows)


def _flat(entries: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, value in entries.items():
        rows += _flat(value) if isinstance(value, dict) else [(name, str(value))]
    return rows


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
