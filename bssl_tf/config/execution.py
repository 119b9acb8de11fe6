"""Settings of where and how a run computes, and of what it keeps and shows."""

from dataclasses import dataclass

from bssl_tf.config.setting import (
    LARGEST_SEED,
    MINUTES_OF_A_YEAR,
    MOST_COUNTED,
    MOST_EPOCHS,
    SECONDS_OF_A_WEEK,
    setting,
)

DRY_RUN = "dry_run"
"""Folder of a dry run in its workdir."""
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class FeatureCacheSettings:
    view_cycle: int = setting(
        0,
        "Epochs after which a student's views repeat, in both stages; the teacher's features are then computed once "
        "and kept on disk. 0: new views at every epoch. What it costs in accuracy: docs/results.md.",
        low=0,
        high=MOST_EPOCHS,
    )
    feature_cache: bool = setting(
        True,
        "With --view_cycle: keep the teacher's features on disk, as float16; off: compute them at every step.",
        changes_result=False,
    )
    feature_cache_dir: str = setting(
        "",
        "Where these features are kept (2 views × width × 2 bytes an image and epoch of the cycle). Empty: in the "
        "teacher's workdir, so that all runs with this teacher share them; of an imported teacher: in its folder; of a "
        "saved Keras model: in --workdir. Several machines need it on a disk that they share.",
        changes_result=False,
    )


@dataclass(frozen=True)
class ComputeSettings:
    precision: str = setting(
        "float32",
        "Numbers that networks compute with in training. Mixed: convolutions in 16 bits; weights, losses, "
        "classifiers and normalisation in float32. mixed_bfloat16 suits recent CPUs, TPUs and GPUs, mixed_float16 "
        "(with a loss scale) other GPUs.",
        choices=PRECISIONS,
    )
    augment_on: str = setting(
        "host",
        "Where jitter, grey and blur of the views are computed: host: in the input pipeline; device: in the training "
        "step, on the accelerator, which helps where the CPU cannot keep up with it. The views are the same, but for "
        "rounding.",
        choices=("host", "device"),
        changes_result=False,
    )


@dataclass(frozen=True)
class RunSettings:
    workdir: str = setting("", "Folder that holds all of this run. Required.", changes_result=False)
    task: str = setting(
        "all",
        "teacher: pretrain the teacher only; student: the student's stages; all: both, as far as they are not done.",
        choices=("all", "teacher", "student"),
        changes_result=False,
    )
    seed: int = setting(0, "Seed of weights, data order and views.", low=0, high=LARGEST_SEED)
    dry_run: bool = setting(
        False,
        "Run everything on 32 images, in WORKDIR/dry_run: seconds a phase for small networks.",
        changes_result=False,
    )
    preview_views: bool = setting(
        False, "Write a picture of what the networks will see to the workdir, and stop.", changes_result=False
    )
    log_every: int = setting(
        50, "Steps between two rows of the metrics.", low=1, high=MOST_COUNTED, changes_result=False
    )
    checkpoint_minutes: float = setting(
        5.0,
        "Minutes between two checkpoints within an epoch's run.",
        low=0.0,
        high=MINUTES_OF_A_YEAR,
        changes_result=False,
    )
    knn_every: int = setting(
        5,
        "Epochs between two online 20-NN accuracies (where labels exist); 0: never.",
        low=0,
        high=MOST_EPOCHS,
        changes_result=False,
    )


@dataclass(frozen=True)
class DistributionSettings:
    distribution: str = setting(
        "one_device",
        "Where to train. one_device: a GPU, or the CPU where there is none; mirrored: all GPUs of this machine; "
        "multi_worker: several machines with all their GPUs, the same command on each. --batch_size is that of all "
        "together.",
        choices=("one_device", "mirrored", "multi_worker"),
        changes_result=False,
    )
    workers: str = setting(
        "",
        "multi_worker: HOST:PORT of every machine, separated by commas, the same list on each. The first one shows "
        "and writes all. All need the same --workdir, on a disk that they share. TF_CONFIG can be used instead.",
        changes_result=False,
    )
    worker_index: int = setting(
        -1,
        "multi_worker: place of this machine in --workers: 0 for the first, 1, …",
        low=-1,
        high=9999,
        changes_result=False,
    )
    worker_timeout: float = setting(
        300.0,
        "multi_worker: seconds to wait at the start until all workers are there.",
        low=1.0,
        high=SECONDS_OF_A_WEEK,
        changes_result=False,
    )
