"""Puts evaluated runs side by side."""

import os
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.validation import validate_group
from bssl_tf.console import console, program
from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.protocols.accuracy import Accuracy
from bssl_tf.evaluation.protocols.registry import BY_NAME
from bssl_tf.evaluation.results import EvaluationResult, Results
from bssl_tf.evaluation.subsets import file_name
from bssl_tf.evaluation.tables import unique, write_tables
from bssl_tf.runs import Workdir


def compare_runs(
    runs: Sequence[str],
    settings: EvaluationSettings = EvaluationSettings(),
    *,
    output: str | os.PathLike | None = None,
    plots: bool = True,
) -> EvaluationResult:
    """Put runs side by side that were evaluated before, as `evaluate.py --compare` does.

    Args:
        runs: their workdirs.
        settings: those that the runs were evaluated with.
        output: folder for table.md and plots of accuracy over labels; None: nothing is written.
        plots: draw the plots.

    Raises:
        ConfigError: as `records_of_runs`.
    """
    validate_group(settings)
    settings.check()
    folder = Path(output) if output else None
    result = EvaluationResult.of(records_of_runs(list(runs), settings), [], folder)
    if folder:
        write_tables(result, folder / "table.md")
    if folder and plots:
        from bssl_tf.evaluation.plots import plot_accuracy

        for name in unique(row.data for row in result.rows):
            own = [row for row in result.rows if row.data == name]
            plot_accuracy(folder / f"{file_name(name)}-accuracy.png", name, own)
    return result


def records_of_runs(runs: list[str], settings: EvaluationSettings) -> list[dict[str, Any]]:
    """What was measured on the runs with these settings.

    A network's name begins with that of its run, without the folders that all runs share. What several runs have in
    common, such as a teacher, is there once. Of a network that was trained anew, only the weights measured last count.

    Raises:
        ConfigError: a run is not there, or was not measured with them (or not its present weights), or runs were
            measured on different images of one name.
    """
    protocols = [*(BY_NAME[name](settings) for name in settings.protocol_names), Accuracy(settings)]
    requested = [
        {"protocol": protocol.name, "settings": protocol.identity, "part": part}
        for protocol in protocols
        for part in protocol.parts()
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    images: dict[str, dict[str, Any]] = {}
    for run in dict.fromkeys(runs):
        if not Path(run).is_dir():
            raise ConfigError(f"--compare={run}: there is no such folder.")
        path = Workdir(Path(run)).evaluation.results_file
        if not path.exists():
            raise ConfigError(f"--compare={run}: {path} is missing. Measure it: {_command(run, settings)}")
        saved = Results(path).all()
        asked = [
            record for record in saved if {name: record[name] for name in ("protocol", "settings", "part")} in requested
        ]
        if not asked:
            raise ConfigError(
                f"--compare={run}: nothing there was measured with these settings. Give the flags that it was measured "
                f"with, or measure: {_command(run, settings)}"
            )
        present = {record["network"]: record["identity"] for record in sorted(saved, key=_date)}
        records = [record for record in asked if record["identity"] == present[record["network"]]]
        _tell_of_earlier_weights(run, asked, records, _command(run, settings))
        if not records:
            raise ConfigError(
                f"--compare={run}: only earlier weights of its networks were measured with these settings. Measure the "
                f"present ones: {_command(run, settings)}"
            )
        measured = {record["protocol"] for record in records}
        if missing := [name for name in settings.protocol_names if name not in measured]:
            console.print(
                f"{run}: {', '.join(missing)} not measured with these settings, so not shown; "
                "give the flags that it was measured with",
                markup=False,
            )
        latest = {record["data_name"]: record["data"] for record in sorted(records, key=_date)}
        records = [record for record in records if record["data"] == latest[record["data_name"]]]
        for record in records:
            name = record["data_name"]
            if images.setdefault(name, record["data"]) != record["data"]:
                raise ConfigError(
                    f"--compare: {run} was measured on other images of {name} ({record['data']}) than the runs before "
                    f"({images[name]}): such numbers cannot stand side by side."
                )
        found[run] = list({_what(record): record for record in records}.values())
    return _named(found)


def _tell_of_earlier_weights(run: str, asked: list[dict[str, Any]], kept: list[dict[str, Any]], command: str) -> None:
    """Name, for each network, the protocols that were measured on earlier weights of it alone."""
    shown = {_what(record) for record in kept}
    earlier = defaultdict(set)
    for record in asked:
        if _what(record) not in shown:
            earlier[record["network"]].add(record["protocol"])
    for network, protocols in earlier.items():
        console.print(
            f"{run}: {', '.join(sorted(protocols))} of {network} measured on earlier weights only, so not shown; "
            f"measure again: {command}"
        )


def _command(run: str, settings: EvaluationSettings) -> str:
    """The command that evaluates a run with these settings."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    flags = [f"--{name}={value}" for name, value in values.items() if value != getattr(EvaluationSettings(), name)]
    return f"{program('evaluate')} {shlex.join([f'--workdir={run}', *flags])}"


def _date(record: dict[str, Any]) -> str:
    return record["date"]


def _what(record: dict[str, Any]) -> tuple:
    return record["network"], record["data_name"], record["protocol"], str(record["part"])


def _named(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The records of all runs, each network under a name that says whose it is."""
    short = short_names(list(found))
    holders = defaultdict(set)
    for run, records in found.items():
        for record in records:
            holders[record["network"], record["identity"]].add(run)
    named: dict[tuple, dict[str, Any]] = {}
    for run, records in found.items():
        for record in records:
            network = record["network"]
            is_shared = len(holders[network, record["identity"]]) > 1
            name = network if is_shared else f"{short[run]}: {network}"
            named.setdefault((name, *_what(record)[1:]), record | {"network": name})
    return list(named.values())


def short_names(runs: list[str]) -> dict[str, str]:
    """Run → its path without the folders that all of them share."""
    if len(runs) == 1:
        return {runs[0]: Path(runs[0]).name}
    common = os.path.commonpath([os.path.abspath(run) for run in runs])
    return {run: os.path.relpath(run, common) for run in runs}
