"""Finished runs as tables."""

from pathlib import Path

from benchmarks.detection import records
from benchmarks.detection.plan import (
    BACKBONES,
    BATCH,
    FEW_STEPS,
    FEW_TEST_SCENES,
    SCENES,
    SCRATCH,
    STEPS,
    STUDENTS,
    TEST_SCENES,
    Run,
    detector_run,
    labels_run,
    student_run,
)
from benchmarks.detection.records import Record
from benchmarks.methods.differences import mean_and_deviation, paired_difference
from benchmarks.report import Table

SEEDS = range(10)
DETECTION_SCORES = {"ap": "AP %", "ap50": "AP50 %", "ap75": "AP75 %", "voc_ap50": "VOC AP50 %"}
SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)


def all_tables(chosen: dict, folder: Path = records.FOLDER) -> list[Table]:
    """Those of which something is finished."""
    found = (detectors(chosen, folder), files(chosen, folder), labels(chosen, folder))
    return [table for table in found if table.rows]


def detectors(chosen: dict, folder: Path = records.FOLDER) -> Table:
    """Scores of detectors, mean ± deviation over seeds, and the difference of AP to a random backbone's."""
    rows = []
    for scenes in SCENES:
        of_kind = {
            key: _finished(lambda seed, key=key, scenes=scenes: detector_run(key, scenes, seed, chosen), folder)
            for key in BACKBONES
        }
        for key, found in of_kind.items():
            if not found:
                continue
            cells = [_mean([record.scores[score][0] for record in found.values()]) for score in DETECTION_SCORES]
            ap = {seed: record.scores["ap"][0] for seed, record in found.items()}
            scratch = {seed: record.scores["ap"][0] for seed, record in of_kind[SCRATCH].items()}
            compared = key != SCRATCH and ap.keys() & scratch.keys()
            seconds = sum(record.processor_seconds for record in found.values()) / len(found)
            rows.append(
                (
                    *(BACKBONES[key], scenes, ", ".join(map(str, found)), *cells),
                    _difference(ap, scratch) if compared else "",
                    f"{seconds:.0f}",
                )
            )
    columns = ("backbone", "scenes", "seeds", *DETECTION_SCORES.values(), "AP, to scratch", "processor s")
    note = (
        f"The same detector for all (64 channels, all layers trained), about {STEPS} steps of {BATCH} scenes at Adam's "
        "0.003. Mean ± deviation over seeds, each with the student of its own seed; differences are paired by seed, "
        "with Student's 95 % interval; one seed has neither."
    )
    return Table(f"Detection on composed Fashion-MNIST scenes, {TEST_SCENES} test scenes", columns, rows, (note,))


def files(chosen: dict, folder: Path = records.FOLDER) -> Table:
    """Exported detectors of seed 0, and those of other networks."""
    kinds = [(BACKBONES[key], detector_run(key, max(SCENES), 0, chosen)) for key in BACKBONES]
    kinds += [(student, student_run(student)) for student in STUDENTS]
    rows = []
    for title, run in kinds:
        record = records.load(run, folder)
        if record is None or not record.file:
            continue
        file = record.file
        rows.append(
            (
                title,
                *(f"{100 * value:.2f}" for value in (record.scores["ap"][0] or 0.0, file["ap"] or 0.0)),
                *(f"{100 * file[share]:.0f}" for share in ("agreeing", "expected_agreeing")),
                *(f"{file['median_relative']:.1e}", file["bytes"], file["operators"]),
                *(f"{100 * file['binary_share_of_macs']:.1f}", file["conversion_seconds"]),
            )
        )
    columns = (
        *("detector", "AP, Keras %", "AP, file %", "images that agree %", "of nudged Keras %", "median deviation"),
        *("bytes", "operators", "binary share of MACs %", "conversion, processor s"),
    )
    note = (
        f"With a name of a method: reactnet_small of {max(SCENES)} scenes, {TEST_SCENES} test scenes. Other networks: "
        f"random weights and {FEW_STEPS} steps, {FEW_TEST_SCENES} test scenes, so their AP says nothing about the "
        "network. 64 test scenes agree where the raw outputs deviate by a rounding (5e-5) at most; beside it the share "
        "for Keras itself, its weights nudged by 3e-7: what a rounding that flips a sign does."
    )
    return Table("Exported detectors, seed 0, in LCE's interpreter", columns, rows, (note,))


def labels(chosen: dict, folder: Path = records.FOLDER) -> Table:
    """Mean average precision of linear classifiers of what a scene shows, seed 0."""
    rows = []
    for key in BACKBONES:
        record = records.load(labels_run(key, 0, chosen), folder)
        if record is None:
            continue
        few = (record.scores[f"low-shot SVM mAP, {shots} a class"] for shots in SHOTS)
        measures = (record.scores["linear mAP"], record.scores["SVM mAP"], *few)
        rows.append(("random" if key == SCRATCH else BACKBONES[key], *map(_mean, measures)))
    title = (
        f"Which garments a scene shows: mean average precision %, {max(SCENES)} training and {TEST_SCENES} test scenes"
    )
    columns = ("frozen backbone", "linear", "SVM", *(f"{shots} a class" for shots in SHOTS))
    note = (
        "VOC's average precision at 11 points, mean over the ten classes; scenes at their own 128 pixels; students of "
        "seed 0. Few labels: SVM on so many scenes that show a class and nine times as many that do not, mean ± "
        "deviation over five samples."
    )
    return Table(title, columns, rows, (note,))


def _finished(run_of_seed, folder: Path) -> dict[int, Record]:
    """Seed → record."""
    runs: dict[int, Run] = {seed: run_of_seed(seed) for seed in SEEDS}
    found = {seed: records.load(run, folder) for seed, run in runs.items()}
    return {seed: record for seed, record in found.items() if record is not None}


def _mean(values: list[float]) -> str:
    mean, deviation = mean_and_deviation([100 * value for value in values])
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def _difference(values: dict[int, float], reference: dict[int, float]) -> str:
    mean, half = paired_difference(values, reference)
    text = f"{100 * mean:+.1f}"
    return text if half is None else f"{text} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"
