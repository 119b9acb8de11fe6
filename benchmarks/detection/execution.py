"""Trains and scores one detector, or fits classifiers of scenes on one backbone."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.detection.plan import SCENE_SIZE, SCENES, SCRATCH, Run
from benchmarks.detection.records import Record
from benchmarks.finished_runs import cost, fingerprint, run_command
from benchmarks.methods.execution import Place as MethodsPlace
from benchmarks.report import hardware
from bssl_tf.files import write_text
from bssl_tf.models.spec import SPEC_FILE, BackboneSpec
from bssl_tf.runs import PhaseFolder, Workdir

DETECT, EVALUATE = ["-m", "bssl_tf.cli.detect"], ["-m", "bssl_tf.cli.evaluate"]
SCORES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "voc_ap50")


@dataclass(frozen=True)
class Place:
    """Where things are.

    Args:
        workdir: folder of detectors and classifiers.
        data_dir: where TFDS keeps fashion_mnist and fashion_scenes.
        pretrained: the --workdir of `benchmarks.methods`.
    """

    workdir: Path
    data_dir: str
    pretrained: Path

    def folder(self, run: Run) -> Path:
        return self.workdir / run.part / f"{run.backbone}-{run.scenes}-{fingerprint(run.arguments)}"

    def backbone(self, run: Run) -> Path | None:
        """Workdir of the trained student that a run starts from, or whose network it builds anew; None: not there."""
        place = MethodsPlace(self.pretrained, self.data_dir)
        if run.pretrained is None:
            return self._described(run.backbone)
        if run.backbone != SCRATCH:
            folder = place.folder(run.pretrained)
            return folder if Workdir(folder).stage(2).done else None
        trained = sorted((self.pretrained / run.pretrained.setting).glob("*/stage2/summary.json"))
        return trained[0].parent.parent if trained else None

    def _described(self, student: str) -> Path:
        """A folder with a network's description, but no weights."""
        folder = self.workdir / "descriptions" / student
        spec = BackboneSpec(student, SCENE_SIZE, 1, mean=(73.0,), std=(90.0,))  # about those of Fashion-MNIST
        write_text(folder / SPEC_FILE, spec.to_json())
        return folder


def execute(run: Run, place: Place, backbone: Path) -> Record:
    """Do it, going on where an earlier attempt stopped.

    Args:
        run: what.
        place: where.
        backbone: of `Place.backbone`.

    Raises:
        UserError: a command ended with an error; names its log.
    """
    measured = _labels(run, place, backbone) if run.part == "labels" else _detector(run, place, backbone)
    return Record(
        arguments=run.arguments,
        **measured,
        **cost(place.folder(run)),
        hardware=hardware(),
        date=time.strftime("%Y-%m-%d"),
    )


def _detector(run: Run, place: Place, backbone: Path) -> dict[str, Any]:
    folder = place.folder(run)
    is_random = run.backbone == SCRATCH or run.pretrained is None
    name = "--random_like" if is_random else "--backbone"
    command = [sys.executable, *DETECT, *run.flags, f"--data_dir={place.data_dir}", f"{name}={backbone}"]
    command += ["--backbone=random"] * is_random
    command.append("--export" if exported(run) else "--noexport")
    run_command([*command, f"--workdir={folder.parent}", f"--detector_name={folder.name}"], folder, run.name)
    found, summary = json.loads((folder / "scores.json").read_text()), PhaseFolder(folder).summary
    file = {}
    if exported(run):
        facts = found["export"]
        raw = found["parity"]["raw_outputs"]
        file = {"ap": found["tflite"]["ap"], "operators": sum(facts["operators"].values())}
        file |= {name: raw[name] for name in ("agreeing", "expected_agreeing", "median_relative")}
        file |= {name: facts[name] for name in ("bytes", "binary_share_of_macs", "conversion_seconds")}
    return {
        "scores": {score: [found["keras"][score]] for score in SCORES},
        "final": summary["final"],
        "warnings": summary["warnings"],
        "file": file,
    }


def exported(run: Run) -> bool:
    """One of each kind is enough to see that file and Keras find the same."""
    return run.part == "students" or (run.seed == 0 and run.scenes == max(SCENES))


def _labels(run: Run, place: Place, backbone: Path) -> dict[str, Any]:
    folder = place.folder(run)
    model = folder / "backbone"
    _at_scene_size(run, backbone, model)
    command = [sys.executable, *EVALUATE, *run.flags, f"--data_dir={place.data_dir}", f"--model={model}"]
    run_command([*command, "--noplots", f"--output={folder}"], folder, run.name)
    scores: dict[str, list[float]] = {}
    for record in json.loads((folder / "results.json").read_text()).values():
        for score in record["scores"]:
            name = f"{score['measure']}, {score['labels']}" if score["labels"] else score["measure"]
            scores.setdefault(name, []).append(score["value"])
    return {"scores": scores}


def _at_scene_size(run: Run, backbone: Path, folder: Path) -> None:
    """The same backbone for images of the scenes' size, at which a garment is as large as it was in pretraining."""
    from bssl_tf.native_logs import import_tensorflow

    import_tensorflow()
    import dataclasses

    import tensorflow as tf

    from bssl_tf.models import build_backbone, load_backbone, save_backbone

    network, spec = load_backbone(backbone / "stage2", image_size=SCENE_SIZE)
    spec = dataclasses.replace(spec, image_size=SCENE_SIZE)
    if run.backbone == SCRATCH:
        tf.keras.utils.set_random_seed(run.seed)
        network = build_backbone(spec)
    save_backbone(network, spec, folder)
