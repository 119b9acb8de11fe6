"""The process that fine-tunes: the protocol ``finetune`` of the evaluation on the labels of the atlas, then the export.

    python -m bssl_tf.atlas.finetuning FOLDER PARENT

reads FOLDER/job.json and keeps FOLDER/state.json. It ends by itself when the process PARENT is gone.
"""

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bssl_tf  # noqa: F401  (before TensorFlow)
from bssl_tf.errors import UserError
from bssl_tf.files import write_json


@dataclass(frozen=True)
class FinetuneJob:
    """What to fine-tune.

    Attributes:
        run: workdir of the run whose student is fine-tuned.
        tree: labelled photos, as `exporting.write_tree` writes them with splits.
        output: the .tflite file to write.
        steps: training steps.
        layers: as the flag --finetune_layers.
    """

    run: str
    tree: str
    output: str
    steps: int = 300
    layers: str = "whole"


def fine_tune(job: FinetuneJob, folder: Path, watch: "Watch") -> dict[str, Any]:
    """Train, measure on the held-out photos, export; facts of the result."""
    import numpy as np

    from bssl_tf.config import saved as configuration
    from bssl_tf.config.evaluation import EvaluationSettings
    from bssl_tf.config.export import ExportSettings
    from bssl_tf.data import evaluation_images, load_source
    from bssl_tf.deploy.export import export
    from bssl_tf.deploy.parity import TooFewImages
    from bssl_tf.evaluation.features import extract_features
    from bssl_tf.evaluation.labelled_data import labelled
    from bssl_tf.evaluation.networks import named_networks
    from bssl_tf.evaluation.protocols.base import Task
    from bssl_tf.evaluation.protocols.finetune import Finetune
    from bssl_tf.models import load_backbone

    config = configuration.load(Path(job.run) / "config.json")
    data = dataclasses.replace(
        config.data, dataset=f"folder:{job.tree}", data_dir="", max_train_images=0, max_test_images=0
    )
    sources = {split: load_source(data, split, folder) for split in ("train", "test")}
    photos = labelled(data.dataset, sources["train"], sources["test"], dataclasses.asdict(data))
    (network,) = named_networks([str(Path(job.run) / "stage2")])
    backbone, spec = load_backbone(Path(job.run) / "stage2")

    def features(split: str) -> np.ndarray:
        images = evaluation_images(sources[split], image_size=spec.image_size, channels=spec.channels)
        return extract_features(backbone, images, f"{split} photos")

    settings = EvaluationSettings(finetune_steps=job.steps, finetune_layers=job.layers)
    task = Task(network, photos, lambda: backbone, features, config.views.without_colours(), folder, watch.start, print)
    (score,) = Finetune(settings).run(task, amount="100%", draw=0)
    watch.message("comparing the file with the Keras network", 0.95)
    try:
        exported = export(folder / score.details["classifier"], Path(job.output), ExportSettings(overwrite=True))
    except TooFewImages as error:
        raise UserError(f"{error.problem} Label more photos.") from None
    return {
        "accuracy": score.value,
        "right": round(score.value * len(photos.test_labels)),
        "count": len(photos.test_labels),
        "labels": score.images,
        "file": str(exported.path),
        "parity": str(exported.parity),
    }


class Watch:
    """Writes how far a job is, and ends the process when the atlas is gone.

    Args:
        path: of the state file.
        parent: number of the atlas's process.
    """

    def __init__(self, path: Path, parent: int):
        self._path, self._parent, self._steps, self._loss = path, parent, 1, ""

    def start(self, title: str, total_steps: int, steps_per_epoch: int, batch_size: int) -> "Watch":
        self._steps = total_steps
        self.message("training", 0.0)
        return self

    def show(self, values: dict[str, float]) -> None:
        self._loss = f", loss {values['loss']:.3f}"

    def advance(self, step: int) -> None:
        if os.getppid() != self._parent:
            sys.exit("the atlas has ended")
        if step % 5 == 0 or step == self._steps:
            self.message(f"step {step} of {self._steps}{self._loss}", 0.05 + 0.85 * step / self._steps)

    def close(self) -> None:
        self.message("measuring on held-out photos", 0.9)

    def message(self, text: str, share: float) -> None:
        self.write("running", text, share)

    def write(self, phase: str, text: str, share: float, result: dict[str, Any] | None = None) -> None:
        write_json(self._path, {"phase": phase, "message": text, "share": share, "result": result})


def main() -> None:
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    watch = Watch(folder / "state.json", parent)
    watch.message("loading the network", 0.0)
    job = FinetuneJob(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    try:
        result = fine_tune(job, folder, watch)
    except (UserError, FloatingPointError, OSError) as error:
        watch.write("failed", str(error), 0.0)
        sys.exit(str(error))
    watch.write("done", "done", 1.0, result)


if __name__ == "__main__":
    main()
