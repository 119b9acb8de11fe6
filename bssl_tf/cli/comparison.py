"""Puts evaluated runs side by side."""

import json
from pathlib import Path
from typing import Any

from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.accuracy import Accuracy
from bssl_tf.evaluation.protocols import BY_NAME
from bssl_tf.evaluation_settings import EvaluationSettings


def records_of_runs(runs: list[str], settings: EvaluationSettings) -> list[dict[str, Any]]:
    """What was measured on the runs with these settings; the networks' names begin with that of their run.

    Raises:
        ConfigError: a run was not measured with them, or runs were measured on different images of one name.
    """
    protocols = [*(BY_NAME[name](settings) for name in settings.protocol_names), Accuracy(settings)]
    asked = [
        {"protocol": protocol.name, "settings": protocol.identity, "part": part}
        for protocol in protocols
        for part in protocol.parts()
    ]
    found, images = [], {}
    for run in dict.fromkeys(runs):
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
        for record in records:
            name = record["data_name"]
            if images.setdefault(name, record["data"]) != record["data"]:
                raise ConfigError(
                    f"--compare: {run} was measured on other images of {name} ({record['data']}) than the runs before "
                    f"({images[name]}): such numbers cannot stand side by side."
                )
        newest = {(r["network"], r["data_name"], r["protocol"], str(r["part"])): r for r in records}
        found += [record | {"network": f"{run}: {record['network']}"} for record in newest.values()]
    return found
