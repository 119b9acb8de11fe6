"""Settings of `bssl-detect`, as dataclass fields that become flags."""

from dataclasses import dataclass

from bssl_tf.config.learning import OPTIMIZERS
from bssl_tf.config.setting import LARGEST_LEARNING_RATE, MOST_EPOCHS, MOST_IN_A_BATCH, setting


@dataclass(frozen=True)
class DetectorSettings:
    backbone: str = setting(
        "",
        "Where the backbone comes from: a workdir of bssl-train, or a folder with backbone.json (WORKDIR/stage2); "
        "empty: --workdir itself; random: the same network as in --workdir (or --random_like) with random weights.",
    )
    random_like: str = setting(
        "", "backbone=random: workdir or folder whose backbone.json describes the network; empty: --workdir."
    )
    neck_channels: int = setting(
        128,
        "Channels of the neck and the head. Multiples of 128 suit LCE's kernels, 32 is the least.",
        low=32,
        high=4096,
    )
    head_depth: int = setting(2, "Binary 3×3 convolutions of the head, shared by all levels.", low=1, high=32)


@dataclass(frozen=True)
class BoxAugmentationSettings:
    box_flip: bool = setting(True, "Mirror half of the images, and their boxes.")
    scale_min: float = setting(0.8, "Smallest factor by which objects are scaled (scale jitter).", low=0.1, high=1.0)
    scale_max: float = setting(1.25, "Largest factor by which objects are scaled.", low=1.0, high=10.0)


@dataclass(frozen=True)
class DetectionTrainingSettings:
    test_dataset: str = setting(
        "", "Test images of a coco: data set, as coco:ANNOTATIONS.json,IMAGES; empty: --holdout of --dataset."
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
