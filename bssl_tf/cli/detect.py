"""Trains an object detector on a pretrained binary backbone, scores it, and exports it for Larq Compute Engine.

    bssl-detect --workdir=runs/photos --dataset=tfds:voc/2007 --train_split=train+validation --data_dir=DATA
    bssl-detect --workdir=runs/photos --dataset=coco:train.json,images --test_dataset=coco:test.json,images
    bssl-detect --workdir=runs/scratch --backbone=random --random_like=runs/photos …     # for comparison

The same command goes on where it stopped. WORKDIR/detector then holds the detector, its scores (scores.md), test
images with boxes (sheet.png), and detector.tflite with a report. docs/guides/detection.md tells more.
"""

import dataclasses
import sys
from pathlib import Path

from bssl_tf.config import flags as configuration
from bssl_tf.config.detection import DetectionConfig
from bssl_tf.config.without_effect import detection_without_effect
from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import Interrupted


def main() -> None:
    groups = {
        group.name: configuration.group_from_flags(type(group.default)) for group in dataclasses.fields(DetectionConfig)
    }
    config = DetectionConfig(**groups)
    config.validate()
    configuration.refuse_without_effect(detection_without_effect(config))
    configuration.warn_of_unreadable_methods()

    from bssl_tf.detection.run import train_detector  # takes seconds to import

    try:
        train_detector(config, command=["bssl-detect", *sys.argv[1:]])
    except Interrupted as interruption:
        console.print(f"[bold]{interruption}[/]")
        raise SystemExit(interruption.status) from None
    folder = (config.for_dry_run() if config.run.dry_run else config).run.folder
    console.print(f"[bold green]done[/]: {folder}, scores in {Path(folder) / 'scores.md'}")


def run() -> None:
    """Console script ``bssl-detect``."""
    configuration.define_flags(*(type(group.default) for group in dataclasses.fields(DetectionConfig)))
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
