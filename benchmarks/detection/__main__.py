"""What pretraining is worth to a detector: average precision on composed scenes, by backbone and annotated scenes.

    python -m bssl_tf.data.sources.prepare_scenes --data_dir=DATA
    python -m benchmarks.methods --data_dir=DATA --workdir=runs/methods --parts=rates --forms=supervised,simclr,balanced
    python -m benchmarks.detection --data_dir=DATA --workdir=runs/detection --pretrained=runs/methods

Backbones are the students of `benchmarks.methods`, all the same network: random (from scratch), or pretrained on
10 000 images of Fashion-MNIST; a detector of some seed has the student of that seed. Detector, schedule and number of
steps are the same for all. A finished run leaves a record in benchmarks/results/detection/ and is not done again, not
even on another machine: stop the command, and give it once more. What waits for a backbone is left out, and named.

    … --parts=labels                  linear classifiers of what a scene shows, on the frozen backbones, one seed
    … --parts=students                other networks, briefly trained: whether their files find what Keras finds
    … --parts= (none)                 only the tables, of what is there
"""

from pathlib import Path

from absl import flags

from benchmarks.detection import records, tables
from benchmarks.detection.execution import Place, execute
from benchmarks.detection.plan import BACKBONES, SCENES, SCRATCH, Run, queue
from benchmarks.finished_runs import whole_numbers
from benchmarks.methods import records as pretraining_records
from benchmarks.report import Result
from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import UserError

PARTS = ("detectors", "labels", "students")

DATA_DIR = flags.DEFINE_string("data_dir", "", "Where TFDS keeps fashion_mnist and fashion_scenes.")
WORKDIR = flags.DEFINE_string("workdir", "runs/detection", "Folder for detectors.")
PRETRAINED = flags.DEFINE_string("pretrained", "runs/methods", "The --workdir of benchmarks.methods: its students.")
PARTS_FLAG = flags.DEFINE_list("parts", ["detectors"], f"Of {', '.join(PARTS)}.")
ONLY = flags.DEFINE_list("backbones", list(BACKBONES), "Only these.")
SCENES_FLAG = flags.DEFINE_list("scenes", [str(number) for number in SCENES], "Annotated training scenes.")
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds; labels has the first.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/detection.json.")


def planned(chosen: dict) -> list[Run]:
    """The runs that the flags ask for, in their order.

    Raises:
        UserError: a name that does not exist.
    """
    scenes = [str(number) for number in SCENES]
    for flag, values, names in (
        ("parts", PARTS_FLAG, PARTS),
        ("backbones", ONLY, list(BACKBONES)),
        ("scenes", SCENES_FLAG, scenes),
    ):
        for value in filter(None, values.value):
            if value not in names:
                raise UserError(f"--{flag}={value}: choose of {', '.join(names)}.")
    seeds, numbers = whole_numbers("seeds", SEEDS.value), whole_numbers("scenes", SCENES_FLAG.value)
    return queue(PARTS_FLAG.value, ONLY.value, numbers, seeds, chosen)


def work_through(runs: list[Run], place: Place, folder: Path) -> list[Run]:
    """Execute what is not finished; return what waits for its backbone."""
    missing, waiting = [run for run in runs if records.load(run, folder) is None], []
    if runs:
        console.print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished")
    for number, run in enumerate(missing, start=1):
        backbone = place.backbone(run)
        if backbone is None:
            waiting.append(run)
            continue
        record = execute(run, place, backbone)
        path = records.save(run, record, folder)
        scores = ", ".join(f"{name} {100 * values[0]:.1f} %" for name, values in record.scores.items())
        console.print(
            f"{number}/{len(missing)} {run.name}: {scores}; {record.wall_seconds:.0f} s "
            f"({record.processor_seconds:.0f} s of processor time), {path.name}",
            soft_wrap=True,
        )
    return waiting


def main() -> None:
    chosen = pretraining_records.chosen()
    place = Place(Path(WORKDIR.value), DATA_DIR.value, Path(PRETRAINED.value))
    waiting = work_through(planned(chosen), place, records.FOLDER)
    found = tables.all_tables(chosen)
    if found:
        command = (
            "python -m benchmarks.detection --data_dir=DATA --workdir=runs/detection --pretrained=runs/methods "
            f"--parts={','.join(PARTS)}"
        )
        result = Result("detection", found, command=command)
        result.show(console)
        if SAVE.value:
            console.print(str(result.save()))
    if waiting:
        seeds = ",".join(sorted({str(run.seed) for run in waiting}))
        forms = ",".join(dict.fromkeys("simclr" if run.backbone == SCRATCH else run.backbone for run in waiting))
        console.print(
            f"{len(waiting)} runs wait for students that {PRETRAINED.value} does not hold. Train them first:\n"
            f"  python -m benchmarks.methods --data_dir={DATA_DIR.value} --workdir={PRETRAINED.value} --parts=rates "
            f"--forms={forms} --seeds={seeds}",
            soft_wrap=True,
        )
        raise SystemExit(1)


if __name__ == "__main__":
    run_entry_point(main, __doc__)
