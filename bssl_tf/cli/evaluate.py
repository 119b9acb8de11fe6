"""Measures features without training anything: 20-NN and linear accuracy of any checkpoint or .tflite file.

    python evaluate.py --workdir=runs/digits
    python evaluate.py --model=model.tflite --dataset=folder:PATH

With --workdir, everything found there is measured on the run's own data: a random binary network, both
stages, the teacher and all .tflite files. What was measured before is not measured again.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from absl import flags

from bssl_tf import config as configuration
from bssl_tf.cli.console import console, run_entry_point
from bssl_tf.config import Config
from bssl_tf.errors import ConfigError
from bssl_tf.files import fingerprint, write_json, write_text
from bssl_tf.quiet import import_tensorflow
from bssl_tf.settings import DataSettings
from bssl_tf.training.phases import BACKBONE_FILES, teacher_path
from bssl_tf.validation import validate_group

TABLE_HEAD = ("network", "20-NN %", "linear %", "features", ".tflite, KiB", "deviation from Keras")


@dataclass(frozen=True)
class Candidate:
    """Something to measure.

    Attributes:
        name: its row in the table.
        identity: changes when the network changes.
        load: () → a Keras backbone or a `TfliteBackbone`.
        facts: more to put in its row.
    """

    name: str
    identity: str
    load: Callable[[], Any]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


def main() -> None:
    arguments = flags.FLAGS
    workdir = Path(arguments.workdir) if arguments.workdir else None
    config = _config_of(workdir)
    data = configuration.group_from_flags(DataSettings, base=config.data)
    validate_group(data)
    candidates = _named(arguments.model) + (_found_in(workdir, config) if workdir else [])
    if not candidates:
        raise ConfigError("nothing to evaluate: give --workdir of a run, or --model with a checkpoint or .tflite file.")

    store = _Results(workdir / "evaluation.json" if workdir else None, dataclasses.asdict(data))
    missing = [candidate for candidate in candidates if store.get(candidate) is None]
    if missing:
        _measure(missing, data, workdir, store)
    rows = [(candidate, store.get(candidate)) for candidate in candidates]
    _print_table(rows, data)
    if workdir:
        write_text(workdir / "evaluation.md", _markdown(rows))
        console.print(f"also in {workdir / 'evaluation.md'} and {workdir / 'evaluation.json'}")


class _Results:
    """Accuracies measured so far, by identity of the network and the data, in a file."""

    def __init__(self, path: Path | None, data: dict[str, Any]):
        self._path = path
        self._data = {name: value for name, value in data.items() if name != "data_dir"}
        self._rows = json.loads(path.read_text()) if path and path.exists() else {}

    def get(self, candidate: Candidate) -> dict[str, Any] | None:
        row = self._rows.get(candidate.name)
        same = row and row["identity"] == candidate.identity and row["data"] == self._data
        return row["scores"] if same else None

    def put(self, candidate: Candidate, scores: dict[str, Any]) -> None:
        self._rows[candidate.name] = {"identity": candidate.identity, "data": self._data, "scores": scores}
        if self._path:
            write_json(self._path, self._rows)


def _config_of(workdir: Path | None) -> Config:
    if workdir is None:
        return Config()
    path = workdir / "config.json"
    if not path.exists():
        raise ConfigError(f"--workdir={workdir} holds no run ({path.name} is missing): train one first, see train.py.")
    return configuration.load(path)


def _found_in(workdir: Path, config: Config) -> list[Candidate]:
    found = []
    for name, label in (("stage1", "stage 1: binary activations"), ("stage2", "BSSL student, binary")):
        if (workdir / name / BACKBONE_FILES[0]).exists():
            found.append(_checkpoint(workdir / name, label))
    if found:
        newest = workdir / ("stage2" if (workdir / "stage2" / BACKBONE_FILES[0]).exists() else "stage1")
        seed = config.run.seed
        identity = f"seed {seed} {fingerprint(newest / BACKBONE_FILES[0])}"
        found.insert(0, Candidate("random network, binary", identity, lambda: _random_network(newest, seed)))
    if (teacher_path(config) / BACKBONE_FILES[0]).exists():
        found.append(_checkpoint(teacher_path(config), "teacher, float"))
    return found + [_tflite(path) for path in sorted(workdir.glob("*.tflite")) if _gives_features(path)]


def _gives_features(path: Path) -> bool:
    """Whether a file has features to measure, and not only codes: its report tells."""
    report = path.with_suffix(".json")
    outputs = json.loads(report.read_text()).get("outputs") if report.exists() else None
    return outputs is None or any(output["name"] == "features" for output in outputs)


def _named(paths: list[str]) -> list[Candidate]:
    candidates = []
    for path in map(Path, paths):
        if path.suffix == ".tflite" and path.is_file():
            candidates.append(_tflite(path))
        elif (path / BACKBONE_FILES[0]).exists():
            candidates.append(_checkpoint(path, str(path)))
        else:
            raise ConfigError(
                f"--model={path} is neither a .tflite file nor a folder with {BACKBONE_FILES[0]} (such as "
                "WORKDIR/stage2)."
            )
    return candidates


def _checkpoint(folder: Path, name: str) -> Candidate:
    def load():
        from bssl_tf.models import load_backbone

        return load_backbone(folder)[0]

    identity = "-".join(fingerprint(folder / file) for file in BACKBONE_FILES)
    return Candidate(name, identity, load)


def _tflite(path: Path) -> Candidate:
    def load():
        from bssl_tf.deploy import TfliteBackbone

        return TfliteBackbone(path)

    facts = {"bytes": path.stat().st_size}
    report = path.with_suffix(".json")
    if report.exists():
        facts["deviation"] = json.loads(report.read_text()).get("parity", {}).get("largest_deviation")
    return Candidate(f"{path.name}, LCE interpreter", fingerprint(path), load, facts)


def _random_network(folder: Path, seed: int):
    import tensorflow as tf

    from bssl_tf.models import BINARY, BackboneSpec, build_backbone

    tf.keras.utils.set_random_seed(seed)
    spec = BackboneSpec.from_json((folder / BACKBONE_FILES[0]).read_text())
    return build_backbone(dataclasses.replace(spec, mode=BINARY))


def _measure(candidates: list[Candidate], data: DataSettings, workdir: Path | None, store: _Results) -> None:
    import_tensorflow()
    from bssl_tf.data import evaluation_images, load_source, readable_data_errors
    from bssl_tf.evaluation import evaluate_backbone

    train, test = (load_source(data, split, workdir) for split in ("train", "test"))
    for candidate in candidates:
        console.print(f"measuring {candidate.name} …")
        network = candidate.load()
        size, _, channels = network.image_shape if hasattr(network, "image_shape") else network.input_shape[1:]
        images = [evaluation_images(source, image_size=size, channels=channels) for source in (train, test)]
        with readable_data_errors():
            store.put(candidate, evaluate_backbone(network, images[0], train.labels, images[1], test.labels))


def _cells(candidate: Candidate, scores: dict[str, Any]) -> tuple[str, ...]:
    size, deviation = candidate.facts.get("bytes"), candidate.facts.get("deviation")
    return (
        candidate.name,
        f"{100 * scores['knn']:.1f}",
        f"{100 * scores['linear']:.1f}",
        str(scores["feature_size"]),
        f"{size / 1024:.0f}" if size else "",
        f"{deviation:.1e}" if deviation is not None else "",
    )


def _print_table(rows: list, data: DataSettings) -> None:
    from rich.table import Table

    scores = rows[0][1]
    table = Table(
        title=f"{data.dataset}: {scores['train_images']} training images, {scores['test_images']} test images"
    )
    for place, head in enumerate(TABLE_HEAD):
        table.add_column(head, justify="right" if place else "left")
    for candidate, measured in rows:
        table.add_row(*_cells(candidate, measured))
    console.print(table)


def _markdown(rows: list) -> str:
    lines = [TABLE_HEAD, ["---"] + ["---:"] * (len(TABLE_HEAD) - 1), *(_cells(*row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def run() -> None:
    """Console script ``bssl-evaluate``."""
    configuration.define_flags(DataSettings)
    flags.DEFINE_string("workdir", "", "A run whose networks and .tflite files are measured, on the run's own data.")
    flags.DEFINE_multi_string("model", [], "A .tflite file or a folder with backbone.json to measure; repeatable.")
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
