"""Measures what a representation is good for, on any checkpoint or .tflite file.

    python evaluate.py --workdir=runs/digits
    python evaluate.py --workdir=runs/digits --protocols=knn,linear,svm,finetune,scratch --labels=1%,10%,100%
    python evaluate.py --workdir=runs/digits --transfer=tfds:fashion_mnist
    python evaluate.py --compare=runs/a,runs/b --output=comparison
    python evaluate.py --model=model.tflite --dataset=folder:PATH

With --workdir, everything found there is measured on the run's own data: a random binary network, both
stages, the teacher and all .tflite files. What was measured before is not measured again.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.flags import Config
from bssl_tf.config.training import DataSettings
from bssl_tf.config.validation import validate_group
from bssl_tf.console import run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.comparison import records_of_runs
from bssl_tf.evaluation.networks import named_networks, networks_of_run
from bssl_tf.evaluation.protocols.base import Network, Protocol
from bssl_tf.evaluation.protocols.registry import chosen_protocols
from bssl_tf.evaluation.results import Job, Results, summarise
from bssl_tf.evaluation.showing import show
from bssl_tf.evaluation.subsets import file_name
from bssl_tf.evaluation.tables import unique
from bssl_tf.files import write_json

DRAWN = "drawn.json"
"""Beside the plots: the jobs that they show. Written last."""


def main() -> None:
    arguments = flags.FLAGS
    settings = configuration.group_from_flags(EvaluationSettings)
    validate_group(settings)
    settings.check()
    workdir = Path(arguments.workdir) if arguments.workdir else None
    if arguments.compare:
        return _compare(_items(arguments.compare), settings, _output(arguments.output, None))
    config = _config_of(workdir)
    data = configuration.group_from_flags(DataSettings, base=config.data)
    validate_group(data)
    networks = named_networks(arguments.model) + (networks_of_run(workdir, config) if workdir else [])
    networks = list({network.name: network for network in networks}.values())
    if not networks:
        raise ConfigError("nothing to evaluate: give --workdir of a run, or --model with a checkpoint or .tflite file.")

    output = _output(arguments.output, workdir)
    results = Results(output and output / "results.json")
    protocols = chosen_protocols(settings, networks)
    wanted = {_short_name(data): data}
    for name in _items(arguments.transfer):
        other = _other_data(name, data)
        wanted.setdefault(_short_name(other), other)
    jobs = _jobs(wanted, networks, protocols, workdir)
    missing = [job for job in jobs if results.get(job) is None]
    plots, keys = output and arguments.plots and output / "plots", [job.key for job in jobs]
    to_draw = plots and not _drawn_before(plots, keys)
    if missing or to_draw:
        from bssl_tf.evaluation.runner import measure, opened  # takes TensorFlow; what is known already can do without

        evaluation = opened(wanted, networks, workdir, output)
        measure(missing, evaluation, results, config.views)
    records = [results.get(job) for job in jobs]
    rows = summarise(records)
    show(rows, records, networks, output)
    if to_draw:
        from bssl_tf.evaluation.drawing import draw

        draw(rows, records, evaluation, plots)
        write_json(plots / DRAWN, keys)


def _jobs(
    wanted: dict[str, DataSettings], networks: list[Network], protocols: list[Protocol], workdir: Path | None
) -> list[Job]:
    """What is asked for, sorted by data set and network. Classifiers know the classes of the first data set only."""
    jobs, judged = [], networks
    for name, data in wanted.items():
        identity = _identity(data, workdir)
        jobs += [
            Job(network, protocol, part, name, identity)
            for network in judged
            for protocol in protocols
            if protocol.applies_to(network)
            for part in protocol.parts()
        ]
        judged = [network for network in networks if network.class_names is None]
    return jobs


def _compare(runs: list[str], settings: EvaluationSettings, output: Path | None) -> None:
    records = records_of_runs(runs, settings)
    rows = summarise(records)
    show(rows, records, [], output)
    if output:
        from bssl_tf.evaluation.plots import plot_accuracy

        for name in unique(row.data for row in rows):
            plot_accuracy(output / f"{file_name(name)}-accuracy.png", name, [row for row in rows if row.data == name])


def _drawn_before(plots: Path, keys: list[str]) -> bool:
    """Whether the plots there show these very jobs."""
    return (plots / DRAWN).exists() and json.loads((plots / DRAWN).read_text()) == keys


def _config_of(workdir: Path | None) -> Config:
    if workdir is None:
        return Config()
    path = workdir / "config.json"
    if not path.exists():
        raise ConfigError(f"--workdir={workdir} holds no run ({path.name} is missing): train one first, see train.py.")
    return configuration.load(path)


def _output(named: str, workdir: Path | None) -> Path | None:
    if named:
        return Path(named)
    return workdir / "evaluation" if workdir else None


def _other_data(name: str, data: DataSettings) -> DataSettings:
    """A data set to transfer to: where it lies and how many images of it are flags; the rest is as it is by default."""
    limits = {field: getattr(data, field) for field in ("data_dir", "max_train_images", "max_test_images")}
    return DataSettings(dataset=name, **limits)


def _short_name(data: DataSettings) -> str:
    return data.dataset.removeprefix("tfds:").removeprefix("folder:")


def _identity(data: DataSettings, workdir: Path | None) -> dict[str, Any]:
    """What says which images are meant; of a folder, whose images may change, their fingerprints too."""
    identity = dataclasses.asdict(data)
    for name in ("data_dir", "decoded_cache_mb"):
        del identity[name]
    if data.dataset.startswith("folder:"):
        from bssl_tf.data import load_source

        identity["images"] = [load_source(data, split, workdir).fingerprint for split in ("train", "test")]
    return identity


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def run() -> None:
    """Console script ``bssl-evaluate``."""
    configuration.define_flags(DataSettings, EvaluationSettings)
    flags.DEFINE_string("workdir", "", "A run whose networks and .tflite files are measured, on the run's own data.")
    flags.DEFINE_multi_string("model", [], "A .tflite file or a folder with backbone.json to measure; repeatable.")
    flags.DEFINE_string(
        "transfer", "", "More data sets to measure on, separated by commas: digits,tfds:NAME,folder:PATH."
    )
    flags.DEFINE_string("compare", "", "Runs to show side by side, separated by commas, as far as they are measured.")
    flags.DEFINE_string(
        "output", "", "Folder for results, table, plots and cached features; WORKDIR/evaluation if empty."
    )
    flags.DEFINE_bool("plots", True, "Draw plots, where there is something new to show.")
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
