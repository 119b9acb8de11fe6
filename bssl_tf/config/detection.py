"""Settings of `bssl-detect`, in groups of dataclass fields that become flags."""

import dataclasses
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bssl_tf.config.data import DataSettings
from bssl_tf.config.execution import DRY_RUN, PRECISIONS, RunSettings
from bssl_tf.config.export import INPUT_TYPES
from bssl_tf.config.learning import OPTIMIZERS
from bssl_tf.config.setting import (
    LARGEST_LEARNING_RATE,
    LARGEST_SEED,
    MINUTES_OF_A_YEAR,
    MOST_COUNTED,
    MOST_EPOCHS,
    MOST_IN_A_BATCH,
    setting,
)
from bssl_tf.config.training import dry_run_batch
from bssl_tf.config.validation import check_path_of_checkpoints, validate_group
from bssl_tf.errors import ConfigError

RANDOM = "random"


@dataclass(frozen=True)
class AnnotatedDataSettings(DataSettings):
    """Images with boxes: the settings of all images, some of which mean something else here."""

    dataset: str = setting(
        "",
        "Images with boxes: tfds:NAME[/CONFIG] of a data set in VOC's or COCO's form, or coco:ANNOTATIONS.json,IMAGES. "
        "Required.",
    )
    holdout: float = setting(
        0.1, "Share of the images of coco: data kept for testing where there is no --test_dataset.", low=0.001, high=0.9
    )
    image_size: int = setting(
        0,
        "Height and width the detector sees, in pixels; 0: the data set's own size where all images are squares of at "
        "most 320, else 320.",
        low=0,
        high=2048,
    )
    decoded_cache_mb: int = setting(
        2048,
        "Does nothing here: images are decoded as they are needed; of tfds: those of one size at once, up to 4 GiB.",
        low=0,
        high=MOST_COUNTED,
        changes_result=False,
    )


@dataclass(frozen=True)
class DetectorSettings:
    backbone: str = setting(
        "",
        "Pretrained backbone: a workdir of bssl-train, or a folder with backbone.json, imported ones too. Empty: the "
        "student of --workdir. random: random weights, the network described by --random_like.",
    )
    random_like: str = setting(
        "", "backbone=random: workdir or folder whose network is built anew; empty: the student of --workdir."
    )
    neck_channels: int = setting(
        128, "Channels of neck and head. Multiples of 128 use LCE's kernels fully, 32 is the least.", low=32, high=4096
    )
    head_depth: int = setting(2, "Binary 3×3 convolutions of the head, shared by all levels.", low=1, high=32)


@dataclass(frozen=True)
class BoxAugmentationSettings:
    box_flip: bool = setting(True, "Mirror half of the images, and their boxes.")
    scale_min: float = setting(0.8, "Scale jitter: smallest factor of the objects' size.", low=0.1, high=1.0)
    scale_max: float = setting(1.25, "Scale jitter: largest factor of the objects' size.", low=1.0, high=10.0)


@dataclass(frozen=True)
class DetectionTrainingSettings:
    test_dataset: str = setting(
        "",
        "Test images of a coco: data set, as coco:ANNOTATIONS.json,IMAGES; empty: --holdout of --dataset.",
        changes_result=False,
    )
    finetune_layers: str = setting(
        "whole",
        "What is trained beside neck and head. head: nothing, the backbone is frozen; whole: all layers at one "
        "learning rate; layerwise: smaller ones towards the input.",
        choices=("head", "whole", "layerwise"),
    )
    layerwise_lr_decay: float = setting(
        0.1,
        "layerwise: learning rate of the first layer, relative to the neck's; in between it falls evenly (as a "
        "geometric series over the layers).",
        low=0.0,
        high=1.0,
    )
    epochs: int = setting(40, "Passes over the training images.", low=1, high=MOST_EPOCHS)
    batch_size: int = setting(32, "Images in a step.", low=1, high=MOST_IN_A_BATCH)
    optimizer: str = setting("adam", "Optimizer.", choices=OPTIMIZERS)
    learning_rate: float = setting(
        1e-3, "Peak learning rate; falls to 0 as a cosine.", low=0.0, high=LARGEST_LEARNING_RATE
    )
    weight_decay: float = setting(0.0, "Weight decay of kernels (not with adam).", low=0.0, high=10.0)
    momentum: float = setting(0.9, "Momentum of sgd and lars.", low=0.0, high=1.0)
    warmup_epochs: int = setting(1, "Epochs of linear warm-up of the learning rate.", low=0, high=MOST_EPOCHS)
    precision: str = setting(
        "float32",
        "Numbers that the detector computes with in training. Mixed: convolutions in 16 bits; weights, losses and "
        "normalisation in float32. mixed_bfloat16 suits recent CPUs, TPUs and GPUs, mixed_float16 (with a loss scale) "
        "other GPUs.",
        choices=PRECISIONS,
    )
    distribution: str = setting(
        "one_device",
        "Where to train. one_device: a GPU, or the CPU where there is none; mirrored: all GPUs of this machine. "
        "--batch_size is that of all together.",
        choices=("one_device", "mirrored"),
        changes_result=False,
    )


@dataclass(frozen=True)
class DetectionRunSettings:
    workdir: str = setting("", "Folder of the run: WORKDIR/detector is written. Required.", changes_result=False)
    detector_name: str = setting(
        "detector", "Folder in --workdir; other names keep several detectors of one run apart.", changes_result=False
    )
    seed: int = setting(0, "Seed of weights, order and augmentation.", low=0, high=LARGEST_SEED)
    log_every: int = setting(
        50, "Steps between two rows of the metrics.", low=1, high=MOST_COUNTED, changes_result=False
    )
    checkpoint_minutes: float = setting(
        5.0, "Minutes between two checkpoints.", low=0.0, high=MINUTES_OF_A_YEAR, changes_result=False
    )
    export: bool = setting(True, "Write detector.tflite and prove that it finds the same.", changes_result=False)
    input_type: str = setting(
        "uint8", "Type of the file's input, pixels in 0..255.", choices=INPUT_TYPES, changes_result=False
    )
    sheet_images: int = setting(
        16, "Test images on the sheet with boxes; 0: no sheet.", low=0, high=1000, changes_result=False
    )
    dry_run: bool = setting(False, "Run everything on 32 images for 2 steps, in WORKDIR/dry_run.", changes_result=False)

    @property
    def folder(self) -> Path:
        """Of the detector."""
        return Path(self.workdir) / self.detector_name

    def as_run_settings(self) -> RunSettings:
        """What the training loop needs; there is no online 20-NN accuracy, an image having several classes."""
        return RunSettings(
            workdir=self.workdir,
            seed=self.seed,
            log_every=self.log_every,
            checkpoint_minutes=self.checkpoint_minutes,
            knn_every=0,
        )


@dataclass(frozen=True)
class DetectionConfig:
    """All settings of `bssl-detect`, by group."""

    data: AnnotatedDataSettings = AnnotatedDataSettings()
    detector: DetectorSettings = DetectorSettings()
    augmentation: BoxAugmentationSettings = BoxAugmentationSettings()
    training: DetectionTrainingSettings = DetectionTrainingSettings()
    run: DetectionRunSettings = DetectionRunSettings()

    def validate(self) -> None:
        """Raises ConfigError: names the flag, its value and what to do."""
        for group in fields(self):
            validate_group(getattr(self, group.name))
        training, run = self.training, self.run
        if not run.workdir:
            raise ConfigError("--workdir is not set: name the folder of a run, for instance --workdir=runs/photos.")
        if not self.data.dataset:
            raise ConfigError(
                "--dataset is not set: give tfds:NAME or coco:ANNOTATIONS.json,IMAGES, images with boxes."
            )
        check_path_of_checkpoints("--workdir", run.workdir)
        name = run.detector_name  # a dry run empties the folder of that name
        if not name or name.startswith(".") or Path(name).name != name:
            raise ConfigError(f"--detector_name={name}: give a single folder name that does not begin with a dot.")
        if training.warmup_epochs >= training.epochs:
            raise ConfigError(
                f"--warmup_epochs={training.warmup_epochs} leaves none of --epochs={training.epochs}: give fewer."
            )
        if training.weight_decay and training.optimizer == "adam":
            raise ConfigError(f"--weight_decay={training.weight_decay} has no effect with adam: use --optimizer=adamw.")
        if training.distribution != "one_device" and training.finetune_layers == "layerwise":
            raise ConfigError(
                f"--distribution={training.distribution} cannot train --finetune_layers=layerwise: leave it out, or "
                "train whole or head."
            )
        if self.detector.random_like and self.detector.backbone != RANDOM:
            raise ConfigError(f"--random_like={self.detector.random_like} is for --backbone=random: leave it out.")
        if training.test_dataset and not self.data.dataset.startswith("coco:"):
            raise ConfigError(
                f"--test_dataset={training.test_dataset} is for --dataset=coco:…; of tfds: data --test_split names the "
                "test images."
            )

    def for_dry_run(self, replicas: int = 1) -> "DetectionConfig":
        """The same on a handful of images, for so many devices that share a batch."""
        replace, batch = dataclasses.replace, dry_run_batch(replicas, self.training.batch_size)
        return replace(
            self,
            data=replace(self.data, max_train_images=2 * batch, max_test_images=32),
            training=replace(self.training, epochs=1, batch_size=batch, warmup_epochs=0),
            run=replace(self.run, workdir=str(Path(self.run.workdir) / DRY_RUN), log_every=1),
        )

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
