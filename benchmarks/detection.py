"""What pretraining is worth to a detector: average precision on composed scenes, by backbone and annotated scenes.

    python -m bssl_tf.data.sources.prepare_scenes --data_dir=DATA
    python -m benchmarks.detection --data_dir=DATA --workdir=RUNS

Backbones are the same student: random (from scratch), or pretrained on 10 000 images of Fashion-MNIST by each method
(`PRETRAINING`; BSSL from the teacher in --teacher, or one trained first). Detector, schedule and number of steps are
the same for all. Every finished detector is a record in RUNS, and is not trained again: the command goes on where it
stopped, and the table shows what there is.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from absl import app, flags
from rich.console import Console

from benchmarks.report import Result, Table, hardware
from bssl_tf.config.data import DataSettings
from bssl_tf.config.detection import DetectionConfig, DetectionRunSettings, DetectionTrainingSettings, DetectorSettings
from bssl_tf.files import write_json

DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps fashion_mnist and fashion_scenes.", required=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder for backbones, detectors and records.", required=True)
BACKBONES = flags.DEFINE_list("backbones", ["scratch", "supervised", "simclr", "bssl"], "Which ones.")
SCENES = flags.DEFINE_list("scenes", ["100", "1000"], "Annotated training scenes.")
SEEDS = flags.DEFINE_integer("seeds", 3, "Detectors of each kind.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 240, "Training steps of a detector, about.", lower_bound=1)
TEST_SCENES = flags.DEFINE_integer("test_scenes", 500, "Test scenes.", lower_bound=1)
LAYERS = flags.DEFINE_enum("finetune_layers", "whole", ["head", "whole", "layerwise"], "What of the backbone learns.")
TEACHER = flags.DEFINE_string("teacher", "", "Workdir of a trained teacher for BSSL; empty: train one.")
EXPORT = flags.DEFINE_bool("export", True, "Export the detectors of seed 0, one file of each kind.")
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/detection.json.")

BATCH = 32
LEARNING_RATE = 0.003
_COMMON = (
    "--dataset=tfds:fashion_mnist --max_train_images=10000 --max_test_images=2000 --student=reactnet_small "
    "--student_width=32 --student_stages=3 --batch_size=128 --learning_rate=0.001 --warmup_epochs=1 --knn_every=0"
)
PRETRAINING = {
    "supervised": "--method=supervised --stages=2 --epochs=6",
    "simclr": "--method=simclr --stages=2 --epochs=6",
    "bssl": "--method=bssl --stages=1,2 --epochs=3 --pseudo_classes=256 --teacher_epochs=16",
}
TITLES = {"scratch": "from scratch", "supervised": "supervised", "simclr": "SimCLR", "bssl": "BSSL"}


def pretrained(name: str, workdir: Path) -> Path:
    """The workdir of a backbone, pretrained if need be."""
    folder = workdir / name
    if not (folder / "stage2" / "summary.json").exists():
        command = [sys.executable, "-m", "bssl_tf.cli.train", *_COMMON.split(), *PRETRAINING[name].split()]
        if name == "bssl" and TEACHER.value:
            command.append(f"--teacher={TEACHER.value}")
        subprocess.run([*command, f"--data_dir={DATA_DIR.value}", f"--workdir={folder}"], check=True)
    return folder


def configuration(name: str, scenes: int, seed: int, workdir: Path) -> DetectionConfig:
    finished = [workdir / other for other in PRETRAINING if (workdir / other / "stage2" / "summary.json").exists()]
    if name == "scratch":
        detector = DetectorSettings(
            backbone="random", random_like=str(finished[0] if finished else pretrained("simclr", workdir))
        )
    else:
        detector = DetectorSettings(backbone=str(pretrained(name, workdir)))
    return DetectionConfig(
        data=DataSettings(
            dataset="tfds:fashion_scenes",
            data_dir=DATA_DIR.value,
            max_train_images=scenes,
            max_test_images=TEST_SCENES.value,
        ),
        detector=detector,
        training=DetectionTrainingSettings(
            epochs=max(2, round(STEPS.value / (scenes // BATCH))),
            batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            finetune_layers=LAYERS.value,
        ),
        run=DetectionRunSettings(
            workdir=str(workdir / "detectors"),
            detector_name=f"{name}-{LAYERS.value}-{scenes}-seed{seed}",
            seed=seed,
            export=EXPORT.value and seed == 0,
        ),
    )


def measured(config: DetectionConfig, name: str, scenes: int) -> dict:
    """The record of one detector, from its file or from training it."""
    path = config.run.folder / "record.json"
    if path.exists():
        return json.loads(path.read_text())
    from bssl_tf.detection.run import train_detector

    wall, processor = time.monotonic(), time.process_time()
    result = train_detector(config, command=["python", "-m", "benchmarks.detection"])
    record = {
        "backbone": name,
        "scenes": scenes,
        "seed": config.run.seed,
        "finetune_layers": config.training.finetune_layers,
        "epochs": config.training.epochs,
        "wall_seconds": round(time.monotonic() - wall),
        "processor_seconds": round(time.process_time() - processor),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
    } | {part: result[part] for part in ("keras", "tflite", "parity", "export") if part in result}
    write_json(path, record)
    return record


def scores_table(records: list[dict]) -> Table:
    rows = []
    kinds = dict.fromkeys((record["backbone"], record["scenes"]) for record in records)
    for name, scenes in sorted(kinds, key=lambda kind: (kind[1], list(TITLES).index(kind[0]))):
        own = [each for each in records if (each["backbone"], each["scenes"]) == (name, scenes)]
        cells = [_mean(own, key) for key in ("ap", "ap50", "ap75", "voc_ap50")]
        rows.append((TITLES[name], scenes, *cells, len(own)))
    columns = ("backbone", "scenes", "AP %", "AP50 %", "AP75 %", "VOC AP50 %", "seeds")
    title = (
        f"Detection on composed Fashion-MNIST scenes, {TEST_SCENES.value} test scenes, {LAYERS.value} network trained"
    )
    return Table(title, columns, rows, ("Mean over seeds; ± is the standard deviation where there are several.",))


def files_table(records: list[dict]) -> Table:
    columns = (
        *("backbone", "scenes", "AP, Keras %", "AP, file %", "images that agree %", "bytes", "operators"),
        *("binary share of MACs %", "conversion, s"),
    )
    rows = []
    for each in (record for record in records if "export" in record):
        facts = each["export"]
        rows.append(
            (
                TITLES[each["backbone"]],
                each["scenes"],
                round(100 * each["keras"]["ap"], 2),
                round(100 * each["tflite"]["ap"], 2),
                100 * each["parity"]["raw_outputs"]["agreeing"],
                facts["bytes"],
                sum(facts["operators"].values()),
                round(100 * facts["binary_share_of_macs"], 2),
                facts["conversion_seconds"],
            )
        )
    return Table("Exported detectors, seed 0, in LCE's interpreter", columns, rows)


def _mean(records: list[dict], key: str) -> str:
    values = [100 * record["keras"][key] for record in records]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def main(_) -> None:
    from bssl_tf.native_logs import import_tensorflow

    import_tensorflow()
    console, workdir, records = Console(), Path(WORKDIR.value), []
    queue = [
        (name, int(scenes), seed) for seed in range(SEEDS.value) for scenes in SCENES.value for name in BACKBONES.value
    ]
    for number, (name, scenes, seed) in enumerate(queue, start=1):
        console.print(f"[bold]{number}/{len(queue)}[/]: {TITLES[name]}, {scenes} scenes, seed {seed}")
        records.append(measured(configuration(name, scenes, seed, workdir), name, scenes))
        result = Result("detection", [scores_table(records), files_table(records)])
        if SAVE.value:
            result.save()
    result.show(console)


if __name__ == "__main__":
    app.run(main)
