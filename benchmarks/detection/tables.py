"""Finished runs as tables."""

from pathlib import Path

from benchmarks.detection import records
from benchmarks.detection.plan import (
    BACKBONES,
    BATCH,
    SCENES,
    SCRATCH,
    STEPS,
    TEST_SCENES,
    Run,
    detector_run,
    labels_run,
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
    """Exported detectors of seed 0."""
    columns = (
        *("backbone", "AP, Keras %", "AP, file %", "images that agree %", "bytes", "operators"),
        *("binary share of MACs %", "conversion, s"),
    )
    rows = []
    for key in BACKBONES:
        record = records.load(detector_run(key, max(SCENES), 0, chosen), folder)
        if record is None or not record.file:
            continue
        file = record.file
        rows.append(
            (
                BACKBONES[key],
                *(f"{100 * value:.2f}" for value in (record.scores["ap"][0], file["ap"])),
                f"{100 * file['agreeing']:.0f}",
                *(file["bytes"], file["operators"], f"{100 * file['binary_share_of_macs']:.1f}"),
                file["conversion_seconds"],
            )
        )
    return Table(f"Exported detectors of {max(SCENES)} scenes, seed 0, in LCE's interpreter", columns, rows)


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
