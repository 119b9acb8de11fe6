"""Scores on disk: every part of every protocol on every network is a record, found again by what shaped it."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.config import renamed
from bssl_tf.config.renamed import with_new_names
from bssl_tf.config.training import ViewSettings
from bssl_tf.errors import UserError
from bssl_tf.evaluation.protocols.base import Network, Protocol, Score
from bssl_tf.files import NUMBER, Kind, check_values, read_json, write_json


@dataclass(frozen=True)
class Job:
    """One part of a protocol, to be measured on a network and a data set.

    Attributes:
        data_name: of the data set, for tables.
        data: settings that say which images.
        views: of the run; those that the protocol reads shape its scores.
    """

    network: Network
    protocol: Protocol
    part: dict[str, Any]
    data_name: str
    data: dict[str, Any]
    views: ViewSettings = ViewSettings()

    @property
    def question(self) -> dict[str, Any]:
        """All that shapes the scores, but for the network."""
        views = {name: getattr(self.views, name) for name in self.protocol.reads_views}
        return {
            "protocol": self.protocol.name,
            "settings": self.protocol.identity,
            "part": self.part,
            "data": self.data,
            **({"views": views} if views else {}),
        }

    @property
    def key(self) -> str:
        return _key(self.network.identity, self.question)


def _key(identity: str, question: dict[str, Any]) -> str:
    text = json.dumps([identity, question], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


REMEDY = "move the file away, and everything is measured again"
_TEXTS = ("network", "identity", "data_name", "protocol", "date")
_RECORD: dict[str, Kind] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("settings", "part", "data"), dict),
    **dict.fromkeys(("training_images", "test_images"), int),
    "feature_size": (int, type(None)),
    **dict.fromkeys(("image", "scores"), list),
}
"""What a record holds at least, and of which types."""
_SCORE: dict[str, Kind] = {
    **dict.fromkeys(("measure", "labels"), str),
    "value": NUMBER,
    "images": int,
    "headline": bool,
    "details": dict,
}


class Results:
    """Records of an evaluation; each is on disk as soon as it is there.

    Args:
        path: the JSON file; None: in memory only.
    """

    def __init__(self, path: Path | None):
        self._path = path
        self._records: dict[str, dict[str, Any]] = {}
        self._read()

    def all(self) -> list[dict[str, Any]]:
        return list(self._records.values())

    def __getitem__(self, job: Job) -> dict[str, Any]:
        """The record of a job, under the names that its network and its images have now."""
        return self._records[job.key] | {"network": job.network.name, "data_name": job.data_name}

    def get(self, job: Job) -> dict[str, Any] | None:
        return self._records.get(job.key)

    def put(self, job: Job, scores: list[Score], seconds: float, facts: dict[str, Any]) -> None:
        self._read()  # what another evaluation has written meanwhile stays
        self._records[job.key] = {
            "network": job.network.name,
            "identity": job.network.identity,
            "data_name": job.data_name,
            **job.question,
            **facts,
            "scores": [score.as_dict() for score in scores],
            "seconds": round(seconds, 1),
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        if self._path:
            write_json(self._path, self._records)

    def _read(self) -> None:
        if self._path and self._path.exists():
            saved = read_json(self._path, dict, REMEDY)
            for key, record in saved.items():
                _check_record(record, f"{self._path}: {key}")
            self._records |= {_key_of(record): record for record in map(_under_new_names, saved.values())}


def _check_record(record: Any, where: str) -> None:
    """Raises UserError for what `Results.put` cannot have written."""
    if not isinstance(record, dict):
        raise UserError(f"{where} must hold names and values, but is {str(record)[:40]!r}: {REMEDY}.")
    check_values(record, _RECORD, where, REMEDY)
    check_values(record, {"views": dict} if "views" in record else {}, where, REMEDY)
    if not _are_counts(record["image"], 2):
        raise UserError(f"{where}: image cannot be {str(record['image'])[:40]!r}, size and channels: {REMEDY}.")
    for place, score in enumerate(record["scores"]):
        _check_score(score, f"{where}: scores[{place}]")


def _check_score(score: Any, where: str) -> None:
    if not isinstance(score, dict):
        raise UserError(f"{where} must hold names and values, but is {str(score)[:40]!r}: {REMEDY}.")
    check_values(score, _SCORE, where, REMEDY)
    if not 0 <= round(score["value"], 6) <= 1:
        raise UserError(f"{where}: value cannot be {score['value']}, an accuracy in 0..1: {REMEDY}.")
    confusion = score["details"].get("confusion")
    if not (
        confusion is None or (isinstance(confusion, list) and all(_are_counts(r, len(confusion)) for r in confusion))
    ):
        raise UserError(f"{where}: confusion cannot be {str(confusion)[:40]!r}: {REMEDY}.")


def _are_counts(values: Any, length: int) -> bool:
    return isinstance(values, list) and len(values) == length and all(type(v) is int and v >= 0 for v in values)


def _under_new_names(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"settings": with_new_names(record["settings"], renamed.SETTINGS)}


def _key_of(record: dict[str, Any]) -> str:
    names = ("protocol", "settings", "part", "data", *(["views"] if "views" in record else []))
    return _key(record["identity"], {name: record[name] for name in names})


@dataclass(frozen=True)
class Row:
    """A measure of one network over all draws.

    Attributes:
        network, data: names.
        measure, labels, images, headline, details: as in `Score`; details of the first draw.
        mean: accuracy in 0..1.
        deviation: standard deviation of the draws (n - 1); None for a single one.
        draws: how many.
    """

    network: str
    data: str
    measure: str
    labels: str
    images: int
    headline: bool
    mean: float
    deviation: float | None
    draws: int
    details: dict[str, Any]

    @property
    def title(self) -> str:
        return ", ".join(filter(None, (self.measure, self.labels)))


def summarise(records: list[dict[str, Any]]) -> list[Row]:
    """Means over draws, in the order in which the measures first occur."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record in records:
        for score in record["scores"]:
            key = (record["network"], record["data_name"], score["measure"], score["labels"])
            groups.setdefault(key, []).append(score)
    rows = []
    for (network, data, measure, labels), scores in groups.items():
        values, first = [score["value"] for score in scores], scores[0]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        rows.append(
            Row(
                network,
                data,
                measure,
                labels,
                first["images"],
                first["headline"],
                float(np.mean(values)),
                deviation,
                len(values),
                first["details"],
            )
        )
    return rows


@dataclass(frozen=True)
class EvaluationResult:
    """Outcome of an evaluation or a comparison.

    Attributes:
        rows: means over draws, see `Row`.
        records: what the rows come from, as results.json holds them.
        networks: what was measured; empty where only records were read.
        folder: where results, table and plots are; None: nowhere.
    """

    rows: list[Row]
    records: list[dict[str, Any]]
    networks: list[Network]
    folder: Path | None

    @classmethod
    def of(cls, records: list[dict[str, Any]], networks: list[Network], folder: Path | None) -> "EvaluationResult":
        return cls(summarise(records), records, networks, folder)


def with_earlier(result: EvaluationResult, saved: list[dict[str, Any]]) -> EvaluationResult:
    """The result with all that earlier evaluations have measured on its networks and images.

    Where a measure was taken with several settings, the latest ones count; those of `result` always do.

    Args:
        result: of an evaluation.
        saved: all records of its results.json.
    """
    networks = {network.identity for network in result.networks}
    images = {json.dumps(record["data"], sort_keys=True): record["data_name"] for record in result.records}
    earlier = [
        record | {"data_name": images[data]}
        for record in sorted(saved, key=lambda record: record["date"])
        if record["identity"] in networks and (data := json.dumps(record["data"], sort_keys=True)) in images
    ]
    settings: dict[tuple[str, ...], str] = {}
    for record in [*earlier, *result.records]:
        settings |= {_measure_of(record, score): _settings_of(record) for score in record["scores"]}
    measured = {_measure_of(record, score) for record in result.records for score in record["scores"]}
    more = []
    for record in earlier:
        scores = [
            score
            for score in record["scores"]
            if (measure := _measure_of(record, score)) not in measured and settings[measure] == _settings_of(record)
        ]
        more += [record | {"scores": scores}] if scores else []
    return EvaluationResult.of(result.records + more, result.networks, result.folder)


def _measure_of(record: dict[str, Any], score: dict[str, Any]) -> tuple[str, ...]:
    return record["network"], record["data_name"], score["measure"], score["labels"]


def _settings_of(record: dict[str, Any]) -> str:
    return json.dumps([record["protocol"], record["settings"], record["identity"]], sort_keys=True)
