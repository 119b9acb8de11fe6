"""Finished runs as tables, and as a plot of accuracy against processor time."""

import io
import statistics
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.methods import records
from benchmarks.methods.differences import mean_and_deviation, mean_and_interval, paired_difference
from benchmarks.methods.forms import (
    DEFAULT_FORM,
    FORMS,
    LEARNING_RATES,
    LENGTH_FORMS,
    LENGTHS,
    TEMPERATURES,
)
from benchmarks.methods.plan import SETTINGS, Choice, run_of, selection_queue, teacher_run
from benchmarks.methods.records import Record
from benchmarks.methods.selection import held_out_score
from benchmarks.methods.tasks import DRAWS, OWN_NEIGHBOURS, TASKS
from benchmarks.report import Table

SEEDS = (*range(10), *range(100, 110))
SCORES = {"knn": "20-NN %", "linear": "linear %"}
COLUMNS = ("", "seeds", *SCORES.values(), "20-NN, to BSSL", "linear, to BSSL", "wall s", "processor s")
PARTS = {
    "methods": "",
    "ablation": ". Ablation of the balanced form",
    "further": ". What else was tried with the balanced form",
}


def finished(setting: str, key: str, chosen: dict, epochs: int = 0, folder: Path = records.FOLDER) -> dict[int, Record]:
    """Seed → record of a form's finished runs, or of its teachers."""
    runs = {
        seed: teacher_run(setting, seed) if key == "teacher" else run_of(setting, key, seed, chosen, epochs)
        for seed in SEEDS
    }
    if key == "teacher" and SETTINGS[setting].shared_teacher:
        runs = {0: runs[0]}
    found = {seed: records.load(run, folder) for seed, run in runs.items()}
    return {seed: record for seed, record in found.items() if record is not None}


def comparison(setting: str, part: str, chosen: dict, folder: Path = records.FOLDER) -> Table | None:
    """Mean ± deviation of each form, its paired difference to BSSL's default form, its cost; None: nothing finished."""
    reference = finished(setting, DEFAULT_FORM, chosen, folder=folder)
    keys = [key for key, form in FORMS.items() if form.part == part or key == DEFAULT_FORM]
    keys += ["teacher"] if part == "methods" else []
    found = {key: finished(setting, key, chosen, folder=folder) for key in keys}
    rows = [_row(key, of_form, reference, setting) for key, of_form in found.items() if of_form]
    if len(rows) < (1 if part == "methods" else 2):
        return None
    notes = (_note(setting, chosen, folder),) if part == "methods" else ()
    return Table(SETTINGS[setting].title + PARTS[part], COLUMNS, rows, notes)


def _row(key: str, of_form: dict[int, Record], reference: dict[int, Record], setting: str) -> tuple[str, ...]:
    scores, references = (
        [{seed: _measured(record, setting)[score] for seed, record in found.items()} for score in SCORES]
        for found in (of_form, reference)
    )
    compared = key not in (DEFAULT_FORM, "teacher") and of_form.keys() & reference.keys()
    return (
        FORMS[key].title if key in FORMS else "teacher, float (SimCLR)",
        ", ".join(map(str, of_form)),
        *map(_accuracy, scores),
        *(_difference(*pair) if compared else "" for pair in zip(scores, references, strict=True)),
        *_cost(of_form),
    )


def _measured(record: Record, setting: str) -> dict[str, float]:
    return record.accuracies if SETTINGS[setting].tested else record.held_out


def of_tasks(setting: str, chosen: dict, folder: Path = records.FOLDER) -> Table | None:
    """Mean of each form in each of `benchmarks.methods.tasks`, with its interval over seeds; None: nothing measured."""
    rows = []
    for key in [key for key, form in FORMS.items() if form.part == "methods"]:
        measured = [record for record in finished(setting, key, chosen, folder=folder).values() if record.tasks]
        if measured:
            cells = [_interval([statistics.fmean(record.tasks[task]) for record in measured]) for task in TASKS]
            rows.append((FORMS[key].title, len(measured), *cells))
    if not rows:
        return None
    note = (
        "Accuracy of classifiers on frozen features, %: mean [95 % interval over seeds]; where labels are drawn, of "
        f"means of {DRAWS} draws. The first columns: Fashion-MNIST, labels of the student's training images, all test "
        "images; digits: the UCI digits, which no network has seen, 1 437 to learn from, 360 to test. supervised has "
        "learnt from the labels of all the student's training images."
    )
    return Table(
        SETTINGS[setting].title + ". Few labels, and other images", ("", "seeds", *TASKS.values()), rows, (note,)
    )


def grid(folder: Path = records.FOLDER) -> Table | None:
    """What learning rate and temperature were chosen from; None: nothing measured."""
    rows, pairs = [], [(rate, temperature) for rate in LEARNING_RATES for temperature in TEMPERATURES]
    for key, form in FORMS.items():
        found = {
            (rate, temperature): record
            for run in selection_queue([key])
            for rate, temperature in pairs
            if run.key == f"{key}-{rate:g}-{temperature:g}" and (record := records.load(run, folder))
        }
        best = max(found, key=lambda pair: held_out_score(found[pair]), default=None)
        cells = [
            _pair(found[pair].held_out, pair == best and len(found) > 1) if pair in found else "" for pair in pairs
        ]
        if found:
            rows.append((form.title, *cells))
    if not rows:
        return None
    note = (
        "One seed (100); in bold the pair with the best mean of both, which tables of these short runs use. The others "
        "use the better temperature at their own learning rate. Forms without a temperature have one column a learning "
        "rate."
    )
    columns = ("20-NN / linear %", *(f"{rate:g}, T {temperature:g}" for rate, temperature in pairs))
    return Table(f"{SETTINGS['selection'].title}: learning rate and temperature", columns, rows, (note,))


def rates(setting: str, chosen: dict, folder: Path = records.FOLDER) -> Table | None:
    """What learning rate was chosen from, in runs of full length; None: nothing measured."""
    rows, tried = [], SETTINGS[setting].rates
    for key in chosen:
        runs = {rate: run_of(setting, key, 0, chosen, rate=rate) for rate in tried}
        found = {rate: record for rate, run in runs.items() if (record := records.load(run, folder))}
        best = max(found, key=lambda rate: held_out_score(found[rate]), default=None)
        cells = [
            _pair(found[rate].held_out, rate == best and len(found) > 1) if rate in found else "" for rate in tried
        ]
        if found:
            rows.append((FORMS[key].title, *cells))
    if not rows:
        return None
    note = "Held-out training images, seed 0; in bold what the table of this setting uses. An empty cell was not run."
    columns = ("20-NN / linear %", *(f"{rate:g}" for rate in tried))
    return Table(f"{SETTINGS[setting].title}: learning rate", columns, rows, (note,))


def _pair(scores: dict[str, float], bold: bool) -> str:
    text = " / ".join(f"{100 * scores[score]:.1f}" for score in SCORES)
    return f"**{text}**" if bold else text


def _interval(values: list[float]) -> str:
    mean, half = mean_and_interval([100 * value for value in values])
    return f"{mean:.1f}" if half is None else f"{mean:.1f} [{mean - half:.1f}, {mean + half:.1f}]"


def lengths(setting: str, chosen: dict, folder: Path = records.FOLDER) -> Table | None:
    """Accuracy after so many epochs a stage."""
    rows = []
    for key in LENGTH_FORMS:
        found = [finished(setting, key, chosen, epochs, folder) for epochs in LENGTHS]
        if any(found):
            rows.append((FORMS[key].title, *map(_after, found)))
    if not rows:
        return None
    columns = ("20-NN / linear % after", *(f"2 × {epochs} epochs" for epochs in LENGTHS))
    note = "Means, and deviations over seeds; a cell without them is seed 0 alone. An empty cell was not run."
    return Table("Length of training (10 000 images, the teacher of all 60 000)", columns, rows, (note,))


def _after(of_form: dict[int, Record]) -> str:
    scores = [{seed: record.accuracies[score] for seed, record in of_form.items()} for score in SCORES]
    return " / ".join(map(_accuracy, scores)) if of_form else ""


def plot(setting: str, chosen: dict, folder: Path = records.FOLDER) -> bytes | None:
    """A PNG: accuracy against processor seconds, mean and deviation of each form."""
    found = {
        key: finished(setting, key, chosen, folder=folder)
        for key, form in FORMS.items()
        if form.part == "methods" and form.arguments
    }
    found = {key: of_form for key, of_form in found.items() if of_form}
    if not found:
        return None
    figure, picture = Figure(figsize=(10, 4.2), layout="constrained"), io.BytesIO()
    for place, (score, label) in enumerate(SCORES.items(), start=1):
        axes = figure.add_subplot(1, 2, place, xlabel="processor seconds of training", ylabel=label)
        for key, of_form in found.items():
            mean, deviation = mean_and_deviation([100 * record.accuracies[score] for record in of_form.values()])
            seconds = statistics.fmean(record.processor_seconds for record in of_form.values())
            marker = "o" if key in (DEFAULT_FORM, "papers_balance", "contrast") else "s" if FORMS[key].distils else "^"
            axes.errorbar(seconds, mean, yerr=deviation, marker=marker, capsize=3, label=FORMS[key].title)
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _accuracy(values: dict[int, float]) -> str:
    mean, deviation = mean_and_deviation([100 * value for value in values.values()])
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def _difference(values: dict[int, float], reference: dict[int, float]) -> str:
    mean, half = paired_difference(values, reference)
    text = f"{100 * mean:+.1f}"
    return text if half is None else f"{text} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"


def _cost(of_form: dict[int, Record]) -> tuple[str, str]:
    if not any(record.processor_seconds for record in of_form.values()):
        return "", ""
    means = (statistics.fmean(getattr(record, cost) for record in of_form.values()) for cost in COSTS)
    return tuple(f"{mean:.0f}" for mean in means)


COSTS = ("wall_seconds", "processor_seconds")


def _note(setting: str, chosen: dict, folder: Path) -> str:
    rates = [f"{rate:g}" for rate in SETTINGS[setting].rates]
    if not chosen:
        grid = "Adam 1e-3 and each method's own temperature: nothing was tuned for any of them"
    elif len(rates) == 1:
        grid = f"temperature of each form chosen on held-out training images, learning rate {rates[0]} for all"
    elif rates:
        grid = f"temperature, and learning rate of {', '.join(rates)}, of each form chosen on held-out training images"
    else:
        grid = "temperature and learning rate of each form chosen on the images that it is measured on, seed 100"
    alone = _tried_once(setting, chosen, folder)
    once = f" (with {SETTINGS[setting].rates[0]:g} alone: {', '.join(alone)})" if alone else ""
    teacher = records.load(teacher_run(setting, 0), folder)
    own = teacher.tasks.get(OWN_NEIGHBOURS) if teacher else None
    return (
        "Binary student reactnet_small (256 features), batch 128, views and schedule of flags/fashion_mnist.cfg, "
        f"bfloat16; {grid}{once}. Mean ± deviation over seeds; differences to BSSL's default are paired by seed, with "
        "Student's 95 % interval; one seed has neither deviation nor interval. 20 neighbours among, and logistic "
        "regression on, the student's training images"
        f"{f' ({100 * own[0]:.1f} % for the teacher among the images that it learnt from)' if own else ''}; "
        f"{'all 10 000 test images' if SETTINGS[setting].tested else '10 000 held-out training images'}. supervised "
        "learns with the labels. "
        f"Views repeat after {SETTINGS[setting].epochs} epochs, for all; the teacher's features of them are computed "
        "once a seed, and their time is not in the columns of cost. The machine did other work at the same time, so "
        "wall seconds say less than processor seconds."
    )


def _tried_once(setting: str, chosen: dict[str, Choice], folder: Path) -> list[str]:
    """Titles of the forms that were measured with the first of the setting's several learning rates only."""
    first, *others = SETTINGS[setting].rates or (0.0,)
    titles = []
    for key in chosen if others else ():
        tried = [records.load(run_of(setting, key, 0, chosen, rate=rate), folder) for rate in (first, *others)]
        if tried[0] and not any(tried[1:]):
            titles.append(FORMS[key].title)
    return titles
