"""Chooses learning rate and temperature of each form on held-out training images."""

import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.methods import records
from benchmarks.methods.forms import FORMS
from benchmarks.methods.plan import SETTINGS, Choice, Run, rates_queue, selection_queue
from benchmarks.methods.records import Record
from benchmarks.report import hardware
from bssl_tf.files import write_json


def choose(folder: Path = records.FOLDER) -> dict[str, Choice]:
    """Write and return, for every form, the values with the best mean of 20-NN and linear among its finished runs.

    Temperatures come from the grid of short runs, one for each learning rate; the learning rate of a setting from runs
    of full length, as short ones like larger rates. The tables show which runs are missing.

    Args:
        folder: of the records; chosen.json is written there.
    """
    chosen = {}
    for key, of_form in _scores(selection_queue(list(FORMS)), 2, folder).items():
        if of_form:
            ascending = sorted(of_form, key=of_form.get)
            temperatures = {f"{rate:g}": temperature for rate, temperature in ascending}
            chosen[key] = Choice(ascending[-1][0], temperatures if FORMS[key].temperature else {})
    for setting in [name for name, of in SETTINGS.items() if of.rates]:
        for key, of_form in _scores(rates_queue(setting, list(chosen), chosen), 1, folder).items():
            if of_form:
                rates = chosen[key].rates | {setting: max(of_form, key=of_form.get)[0]}
                chosen[key] = replace(chosen[key], rates=rates)
    found = {key: asdict(choice) for key, choice in chosen.items()}
    about = {"date": time.strftime("%Y-%m-%d"), "hardware": hardware(), "chosen": found}
    write_json(folder / records.CHOSEN.name, about)
    return chosen


def held_out_score(record: Record) -> float:
    """Mean of 20-NN and linear accuracy on held-out training images."""
    return (record.held_out["knn"] + record.held_out["linear"]) / 2


def _scores(runs: list[Run], values: int, folder: Path) -> dict[str, dict[tuple[float, ...], float]]:
    """Form → the last `values` parts of a finished run's key, as numbers → its score."""
    scores: dict[str, dict[tuple[float, ...], float]] = {}
    for run in runs:
        form, *tried = run.key.rsplit("-", values)
        if form in FORMS and (record := records.load(run, folder)):
            scores.setdefault(form, {})[tuple(map(float, tried))] = held_out_score(record)
    return scores
