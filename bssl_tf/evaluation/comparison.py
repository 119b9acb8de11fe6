"""Puts evaluated runs side by side."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.console import console
from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.protocols.accuracy import Accuracy
from bssl_tf.evaluation.protocols.registry import BY_NAME


def records_of_runs(runs: list[str], settings: EvaluationSettings) -> list[dict[str, Any]]:
    """What was measured on the runs with these settings.

    A network's name begins with that of its run, without the folders that all runs share. What several runs have in
    common, such as a teacher, is there once.

    Raises:
        ConfigError: a run is not there or was not measured with them, or runs were measured on different images of one
            name.
    """
    protocols = [*(BY_NAME[name](settings) for name in settings.protocol_names), Accuracy(settings)]
    asked = [
        {"protocol": protocol.name, "settings": protocol.identity, "part": part}
        for protocol in protocols
        for part in protocol.parts()
    ]
    found, images = {}, {}
    for run in dict.fromkeys(runs):
        if not Path(run).is_dir():
            raise ConfigError(f"--compare={run}: there is no such folder.")
        path = Path(run) / "evaluation" / "results.json"
        if not path.exists():
            raise ConfigError(f"--compare={run}: {path} is missing. Measure it: python evaluate.py --workdir={run}")
        records = [
            record
            for record in json.loads(path.read_text()).values()
            if {name: record[name] for name in ("protocol", "settings", "part")} in asked
        ]
        if not records:
            raise ConfigError(
                f"--compare={run}: nothing there was measured with these settings. Give the flags that it was measured "
                f"with, or measure: python evaluate.py --workdir={run} --protocols={settings.protocols} "
                f"--labels={settings.labels}"
            )
        measured = {record["protocol"] for record in records}
        if missing := [name for name in settings.protocol_names if name not in measured]:
            console.print(
                f"{run}: {', '.join(missing)} not measured with these settings, so not shown; "
                "give the flags that it was measured with",
                markup=False,
            )
        for record in records:
            name = record["data_name"]
            if images.setdefault(name, record["data"]) != record["data"]:
                raise ConfigError(
                    f"--compare: {run} was measured on other images of {name} ({record['data']}) than the runs before "
                    f"({images[name]}): such numbers cannot stand side by side."
                )
        found[run] = {_what(record): record for record in records}.values()
    return _named(found)


def _what(record: dict[str, Any]) -> tuple:
    return record["network"], record["data_name"], record["protocol"], str(record["part"])


def _named(found: dict[str, Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The records of all runs, each network under a name that tells whose it is."""
    short = short_names(list(found))
    holders = defaultdict(set)
    for run, records in found.items():
        for record in records:
            holders[record["network"], record["identity"]].add(run)
    named = {}
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
