"""What `evaluate.py` does: finds networks, measures what was not measured before, writes results, table and plots.

    result = bssl_tf.evaluate("runs/digits", settings=EvaluationSettings(protocols="knn,linear", labels="10%,100%"))
    for row in result.rows:
        print(row.network, row.title, f"{100 * row.mean:.1f} %")

TensorFlow is imported only where something is to be measured or drawn.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bssl_tf.config import saved
from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.training import Config, DataSettings, ViewSettings
from bssl_tf.config.validation import validate_group
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.evaluation.data_sets import DataSet, data_sets
from bssl_tf.evaluation.networks import each_once, named_networks, networks_of_run
from bssl_tf.evaluation.protocols.base import Network, Protocol
from bssl_tf.evaluation.protocols.registry import chosen_protocols
from bssl_tf.evaluation.results import EvaluationResult, Job, Results, with_earlier
from bssl_tf.evaluation.tables import write_tables
from bssl_tf.files import check_writable, read_json, write_json
from bssl_tf.locks import alone, lock_in
from bssl_tf.runs import STAGES, EvaluationFolder, Workdir

DRAWN = "drawn.json"
"""Beside the plots: the jobs that they show. Written last."""


def evaluate(
    workdir: str | os.PathLike | None = None,
    models: Sequence[str | os.PathLike] = (),
    settings: EvaluationSettings = EvaluationSettings(),
    *,
    data: DataSettings | None = None,
    transfer: Sequence[str | DataSettings] = (),
    output: str | os.PathLike | None = None,
    plots: bool = True,
) -> EvaluationResult:
    """Measure what representations are good for, on checkpoints and .tflite files.

        bssl_tf.evaluate("runs/digits")
        bssl_tf.evaluate(models=["model.tflite"], data=DataSettings(dataset="folder:PATH"))
        bssl_tf.evaluate("runs/digits", transfer=["tfds:fashion_mnist"], plots=False)

    Args:
        workdir: a run. Measured are a random binary network, both stages, the teacher and all .tflite files in it.
        models: more networks: .tflite files, or folders with backbone.json.
        settings: protocols, labels, and how to measure.
        data: images to measure on; by default those of the run, else the digits.
        transfer: more data sets to measure on, as in `DataSettings.dataset`: digits, tfds:NAME, folder:PATH.
        output: folder for results.json, table.md, plots and cached features; by default `workdir`/evaluation. Without
            workdir and output nothing is written.
        plots: draw plots, where there is something new to show.

    Returns:
        Means over draws (`rows`) and what they come from (`records`). What is in `output` is not measured again.

    Raises:
        ConfigError: no network, a setting that cannot be used, or a protocol that applies to none of the networks.
        UserError: a data set is missing, or its labels are not fit to evaluate on, or a classifier of `models` has
            other classes. One that is only found in `workdir` is left out, with a line that says so.
    """
    validate_group(settings)
    settings.check()
    run = Path(workdir) if workdir else None
    config = run_config(run)
    data = data or config.data
    validate_group(data)
    networks = each_once(named_networks(models), networks_of_run(run, config) if run else [])
    if not networks:
        raise ConfigError("nothing to evaluate: give --workdir of a run, or --model with a checkpoint or .tflite file.")

    measured_on = data_sets(data, transfer)
    jobs = _jobs(measured_on, networks, chosen_protocols(settings, networks), run, config.views)
    folder = Path(output) if output else run and Workdir(run).evaluation.path
    with _alone_in(folder) if folder else nullcontext():
        return _evaluated(jobs, measured_on, networks, run, folder, config.views, plots)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else evaluates there meanwhile, and nothing is left in it of evaluations that were killed."""
    check_writable(EvaluationFolder(folder).results_file, "--output")
    with alone(lock_in(folder), f"the evaluation in {folder}", "name another folder with --output"):
        EvaluationFolder(folder).sweep()
        yield


def _evaluated(
    jobs: list[Job],
    measured_on: list[DataSet],
    networks: list[Network],
    run: Path | None,
    folder: Path | None,
    views: ViewSettings,
    plots: bool,
) -> EvaluationResult:
    """Measure what is not measured yet, and write results, table and plots."""
    results = Results(folder and EvaluationFolder(folder).results_file)
    missing = [job for job in jobs if results.get(job) is None]
    drawings = EvaluationFolder(folder).plots if folder and plots else None
    if missing or (drawings and not _drawn_before(drawings, jobs)):
        from bssl_tf.evaluation.measuring import fitting, measure, opened

        workspace = opened(measured_on, networks, run, folder)
        fit = fitting(missing, workspace)
        left_out = {job.key for job in missing} - {job.key for job in fit}
        jobs = [job for job in jobs if job.key not in left_out]
        if not jobs:
            raise UserError(
                f"--workdir={run} holds nothing that can be evaluated on these images: give others, --dataset."
            )
        measure(fit, workspace, results, views)
    result = EvaluationResult.of([results[job] for job in jobs], networks, folder)
    if folder:
        write_tables(with_earlier(result, results.all()), EvaluationFolder(folder).table)
    if drawings and not _drawn_before(drawings, jobs):
        from bssl_tf.evaluation.drawing import draw

        draw(result.rows, result.records, workspace, drawings)
        write_json(drawings / DRAWN, [job.key for job in jobs])
    return result


def run_config(workdir: Path | None) -> Config:
    """The configuration of a run; the default one without a run.

    Raises:
        ConfigError: there is no run in `workdir`.
    """
    if workdir is None:
        return Config()
    run = Workdir(workdir)
    path = run.config_file
    if not path.exists():
        if any(run.stage(number).has_backbone for number in STAGES):
            raise ConfigError(
                f"--workdir={workdir} has lost {path.name}: restore it from a copy, or give the command that trained "
                "this run once more, which writes it again and trains nothing that is there."
            )
        raise ConfigError(f"--workdir={workdir} holds no run ({path.name} is missing): train one first, see train.py.")
    return saved.load(path)


def _jobs(
    measured_on: list[DataSet],
    networks: list[Network],
    protocols: list[Protocol],
    workdir: Path | None,
    views: ViewSettings,
) -> list[Job]:
    """What to measure, by data set and network. Classifiers have the classes of the first data set only."""
    jobs, measured = [], networks
    for data_set in measured_on:
        identity = data_set.identity(workdir)
        jobs += [
            Job(network, protocol, part, data_set.name, identity, views)
            for network in measured
            for protocol in protocols
            if protocol.applies_to(network)
            for part in protocol.parts()
        ]
        measured = [network for network in networks if network.class_names is None]
    return jobs


def _drawn_before(plots: Path, jobs: list[Job]) -> bool:
    """Whether the plots there show these very jobs."""
    try:
        return read_json(plots / DRAWN, list, "") == [job.key for job in jobs]
    except (OSError, UserError):
        return False  # they are drawn again
