"""Chooses learning rate and temperature of each form from one small grid, on held-out training images."""

import time
from pathlib import Path

from benchmarks.methods import records
from benchmarks.methods.forms import FORMS
from benchmarks.methods.plan import Run
from benchmarks.report import hardware
from bssl_tf.files import write_json


def choose(runs: list[Run], folder: Path = records.FOLDER) -> dict[str, dict[str, float]]:
    """Write and return, for every form whose grid is finished, the values with the best mean of 20-NN and linear.

    Args:
        runs: of `plan.selection_queue`.
        folder: of the records; chosen.json is written there.
    """
    scores: dict[str, dict[tuple[float, float], float | None]] = {}
    for run in runs:
        key, *values = run.key.rsplit("-", 2)
        if key not in FORMS:
            continue
        record = records.load(run, folder)
        score = record and (record.held_out["knn"] + record.held_out["linear"]) / 2
        scores.setdefault(key, {})[tuple(map(float, values))] = score
    chosen, grid = {}, {}
    for key, of_form in scores.items():
        if any(score is None for score in of_form.values()):
            continue
        rate, temperature = max(of_form, key=of_form.get)
        chosen[key] = {"learning_rate": rate} | ({"temperature": temperature} if FORMS[key].temperature else {})
        grid[key] = {f"{rate:g}, {t:g}": round(score, 4) for (rate, t), score in of_form.items()}
    about = {"date": time.strftime("%Y-%m-%d"), "hardware": hardware(), "chosen": chosen, "grid": grid}
    write_json(folder / records.CHOSEN.name, about)
    return chosen
