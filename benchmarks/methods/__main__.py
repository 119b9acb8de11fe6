"""Which method teaches a binary student best: the same student, images, views, epochs and optimizer for all.

    python -m benchmarks.methods --data_dir=DATA --workdir=runs/methods

Fashion-MNIST through TFDS. Each form trains the binary student in two stages; those that distil have the same teacher.
Features of the frozen students are measured by 20-NN and by a linear classifier on all test images. A finished run
leaves a record in benchmarks/results/methods/ and is not done again, not even on another machine: stop the command,
and give it once more. Runs go seed by seed, so that what is there can be compared at any time.

    … --settings=weak                 a teacher of few images for each seed
    … --settings=many                 nearly as many images for the student as for its teacher
    … --settings=narrow               a student half as wide
    … --parts=ablation,further        other rows, with the default form of BSSL
    … --parts=length --seeds=0        accuracy after 4, 8, 16 and 32 epochs a stage (or --lengths)
    … --parts=selection               temperatures (and rates, of short runs), on held-out training images: run it first
    … --parts=rates --seeds=0         learning rates in runs of full length, on the same images: run it second
    … --settings=selection --parts=further --seeds=100,101,102        ideas, on held-out training images
    … --parts= (none)                 only the tables and the plot, of what is there
    … --quick                         a check of the machinery, in a minute or two
"""

import statistics
import tempfile
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks.finished_runs import whole_numbers
from benchmarks.methods import records, tables
from benchmarks.methods.execution import Place, execute
from benchmarks.methods.forms import FORMS, LENGTH_FORMS, LENGTHS
from benchmarks.methods.plan import SETTINGS, Run, length_queue, queue, rates_queue, selection_queue
from benchmarks.methods.selection import choose
from benchmarks.methods.teachers import keep, unfinished
from benchmarks.report import Result
from bssl_tf.console import run_entry_point
from bssl_tf.errors import UserError
from bssl_tf.files import write_bytes

PARTS = (*tables.PARTS, "length", "rates", "selection")
PICTURE = Path(__file__).parent.parent.parent / "docs" / "methods.png"

DATA_DIR = flags.DEFINE_string("data_dir", "", "Where TFDS keeps fashion_mnist.")
WORKDIR = flags.DEFINE_string("workdir", "runs/methods", "Folder for all runs.")
TABLES = flags.DEFINE_list("settings", ["strong"], f"Of {', '.join(SETTINGS)}.")
PARTS_FLAG = flags.DEFINE_list("parts", ["methods"], f"Of {', '.join(PARTS)}.")
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds.")
LENGTHS_FLAG = flags.DEFINE_list("lengths", [*map(str, LENGTHS)], "Epochs a stage, for --parts=length.")
ONLY = flags.DEFINE_list("forms", [], f"Only these forms (of {', '.join(FORMS)}); all of the parts if empty.")
QUICK = flags.DEFINE_bool("quick", False, "A check of the machinery; leaves nothing in benchmarks/results.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/methods.json and docs/methods.png.")


def planned(chosen: dict) -> list[Run]:
    """The runs that the flags ask for, in their order, each once.

    Raises:
        UserError: a name that does not exist.
    """
    for flag, values, names in (("settings", TABLES, SETTINGS), ("parts", PARTS_FLAG, PARTS), ("forms", ONLY, FORMS)):
        for value in filter(None, values.value):
            if value not in names:
                raise UserError(f"--{flag}={value}: choose of {', '.join(names)}.")
    parts, seeds, runs = PARTS_FLAG.value, whole_numbers("seeds", SEEDS.value), []
    keys = [key for key, form in FORMS.items() if form.part in parts and (not ONLY.value or key in ONLY.value)]
    if "selection" in parts:
        runs += selection_queue([key for key in FORMS if not ONLY.value or key in ONLY.value])
    for setting in TABLES.value:
        if keys:
            runs += queue(setting, keys, seeds, chosen)
        if "length" in parts:
            lengths = whole_numbers("lengths", LENGTHS_FLAG.value)
            runs += length_queue(setting, seeds, chosen, lengths, ONLY.value or LENGTH_FORMS)
        if "rates" in parts:
            runs += rates_queue(setting, [key for key in FORMS if not ONLY.value or key in ONLY.value], chosen, seeds)
    return list(dict.fromkeys(runs))


def work_through(runs: list[Run], place: Place, folder: Path, console: Console) -> None:
    """Execute what is not finished, showing how long the rest will take."""
    missing = unfinished(runs, place, folder)
    durations: list[float] = []
    with Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")),
        console=console,
    ) as progress:
        task = progress.add_task("methods", total=len(runs), completed=len(runs) - len(missing), left="")
        for number, run in enumerate(missing):
            progress.update(task, description=run.name)
            record = execute(run, place)
            path = records.save(run, record, folder)
            if run.key == "teacher":
                keep(run, place, folder)
            durations.append(record.wall_seconds)
            left = statistics.median(durations) * (len(missing) - number - 1)
            progress.update(task, advance=1, left=f"about {left / 3600:.1f} hours left")
            scores = ", ".join(
                f"{name} {100 * value:.1f} %" for name, value in (record.accuracies or record.held_out).items()
            )
            progress.console.print(
                f"{number + 1}/{len(missing)} {run.name}: {scores or 'done'} in {record.wall_seconds:.0f} s "
                f"({record.processor_seconds:.0f} s of processor time), {path.name}; about {left / 3600:.1f} h left",
                soft_wrap=True,
            )


def quick(console: Console) -> None:
    """Two forms on 512 images, twice; in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        place, results = Place(Path(folder) / "runs", DATA_DIR.value), Path(folder) / "results"
        for seeds in ([0], [0, 1]):  # the second time goes on from the records of the first
            runs = queue("quick", ["balanced", "simclr", "random"], seeds, {})
            work_through(runs, place, results, console)
        Result("methods", [tables.comparison("quick", "methods", {}, results)]).show(console)


def main() -> None:
    console = Console()
    if QUICK.value:
        quick(console)
        return
    place, chosen = Place(Path(WORKDIR.value), DATA_DIR.value), records.chosen()
    runs = planned(chosen)
    work_through(runs, place, records.FOLDER, console)
    if {"selection", "rates"} & {*PARTS_FLAG.value}:
        chosen = choose()
    pairs = [(setting, part) for setting in SETTINGS if setting != "quick" for part in tables.PARTS]
    found = [tables.comparison(*pair, chosen) for pair in pairs]
    found += [tables.of_tasks(setting, chosen) for setting in ("strong", "weak")]
    found += [tables.lengths("strong", chosen), tables.grid()]
    found += [tables.rates(setting, chosen) for setting in ("strong", "weak", "many", "few")]
    found = [table for table in found if table is not None]
    result = Result("methods", found, command="python -m benchmarks.methods --data_dir=DATA --workdir=runs/methods")
    result.show(console)
    if SAVE.value:
        console.print(str(result.save()))
        if picture := tables.plot("strong", chosen):
            write_bytes(PICTURE, picture)


if __name__ == "__main__":
    run_entry_point(main, __doc__)
