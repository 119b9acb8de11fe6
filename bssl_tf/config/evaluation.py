"""Settings of `evaluate.py`, as dataclass fields that become flags, and what they mean."""

import math
from dataclasses import dataclass

from bssl_tf.config.setting import (
    LARGEST_LEARNING_RATE,
    LARGEST_SEED,
    MOST_COUNTED,
    MOST_EPOCHS,
    MOST_IN_A_BATCH,
    setting,
)
from bssl_tf.errors import ConfigError

PROTOCOLS = ("knn", "linear", "linear_sgd", "svm", "finetune", "scratch")
ALL_LABELS = "100%"
USUAL_NEIGHBOURS = (1, 5, 20, 200)


@dataclass(frozen=True)
class EvaluationSettings:
    protocols: str = setting(
        "knn,linear",
        f"What to measure, separated by commas: {', '.join(PROTOCOLS)}. finetune trains the pretrained binary networks "
        "with labels, scratch the random one.",
    )
    labels: str = setting(
        ALL_LABELS,
        "Labelled training images that linear, finetune and scratch see: shares (1%) or numbers (500), separated by "
        "commas. Subsets are balanced by class and saved.",
    )
    draws: int = setting(
        5, "Subsets that linear and low-shot SVM are measured on: mean and deviation.", low=1, high=1000
    )
    knn_k: str = setting("", "Neighbours, such as 1,5,20. Empty: 1, 5, 20, 200, as far as there are so many images.")
    knn_temperature: float = setting(0.07, "Temperature of the votes of weighted k-NN.", low=1e-3, high=100.0)
    svm_shots: str = setting("1,2,4,8,16,32,64,96", "Training images of each class for low-shot SVM; empty: none.")
    sgd_epochs: int = setting(100, "linear_sgd: epochs.", low=1, high=MOST_EPOCHS)
    sgd_milestones: str = setting("60,80", "linear_sgd: epochs after which the learning rate is divided by 10.")
    sgd_learning_rate: float = setting(
        0.01, "linear_sgd: learning rate at the start.", low=0.0, high=LARGEST_LEARNING_RATE
    )
    sgd_batch_size: int = setting(256, "linear_sgd: images in a step.", low=1, high=MOST_IN_A_BATCH)
    finetune_layers: str = setting(
        "whole",
        "finetune: head: a classifier on the frozen network; whole: all layers at one learning rate; layerwise: "
        "smaller ones towards the input.",
        choices=("head", "whole", "layerwise"),
    )
    finetune_start: str = setting(
        "linear",
        "finetune: how the classifier starts. linear: as the logistic regression on the features of the same images; "
        "zero: all classes alike.",
        choices=("linear", "zero"),
    )
    finetune_crop_min: float = setting(
        0.6,
        "finetune, scratch: smallest random crop, as a share of the image's area. Larger than the views' own "
        "(--crop_min of train.py): what a crop shows should still show the class.",
        low=0.01,
        high=1.0,
    )
    layerwise_lr_decay: float = setting(
        0.1,
        "layerwise: layer-wise learning rate decay over the whole depth, which is the learning rate of the first layer "
        "relative to the classifier's. In between it falls as a geometric series: of L layers, each has the L-th root "
        "of this times the rate of the next.",
        low=0.0,
        high=1.0,
    )
    finetune_draws: int = setting(
        1, "Subsets (the first of --draws) that finetune and scratch train on.", low=1, high=1000
    )
    finetune_steps: int = setting(
        1000, "finetune, scratch: training steps, however many labels there are.", low=1, high=MOST_COUNTED
    )
    finetune_batch_size: int = setting(
        128, "finetune, scratch: images in a step, or all if there are fewer.", low=1, high=MOST_IN_A_BATCH
    )
    finetune_learning_rate: float = setting(
        1e-3,
        "finetune, scratch: Adam's learning rate at the start; it falls to 0 as a cosine.",
        low=0.0,
        high=LARGEST_LEARNING_RATE,
    )
    seed: int = setting(0, "Seed of subsets, draws and of what is trained on them.", low=0, high=LARGEST_SEED)

    @property
    def protocol_names(self) -> tuple[str, ...]:
        """Raises ConfigError for a name that is unknown."""
        names = _items(self.protocols)
        for name in names:
            if name not in PROTOCOLS:
                raise ConfigError(
                    f"--protocols={self.protocols}: {name!r} is unknown. There are {', '.join(PROTOCOLS)}."
                )
        if not names:
            raise ConfigError(f"--protocols is empty: name one or more of {', '.join(PROTOCOLS)}.")
        return names

    @property
    def amounts(self) -> tuple[str, ...]:
        """Shares such as "1%" and numbers such as "500". Raises ConfigError for anything else."""
        amounts = _items(self.labels)
        for amount in amounts:
            number = _number(amount.removesuffix("%"))
            whole = amount.endswith("%") or number == int(number)
            if number <= 0 or not whole or (amount.endswith("%") and number > 100):
                raise ConfigError(
                    f"--labels={self.labels}: {amount!r} is neither a share like 1% nor a number like 500."
                )
        if not amounts:
            raise ConfigError("--labels is empty: give shares or numbers, such as --labels=1%,10%,100%.")
        return amounts

    @property
    def neighbours(self) -> tuple[int, ...]:
        """Empty: the usual ones."""
        return _whole_numbers(self.knn_k, "--knn_k")

    @property
    def shots(self) -> tuple[int, ...]:
        return _whole_numbers(self.svm_shots, "--svm_shots")

    @property
    def milestones(self) -> tuple[int, ...]:
        return _whole_numbers(self.sgd_milestones, "--sgd_milestones")

    def check(self) -> None:
        """Raises ConfigError where a list holds what it must not."""
        _ = self.protocol_names, self.amounts, self.neighbours, self.shots, self.milestones


def _items(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))


def _number(text: str) -> float:
    """-1 for what is no finite number."""
    try:
        return float(text) if math.isfinite(float(text)) else -1.0
    except ValueError:
        return -1.0


def _whole_numbers(text: str, flag: str) -> tuple[int, ...]:
    for item in _items(text):
        if not (item.isascii() and item.isdecimal() and len(item) < 10) or int(item) < 1:
            raise ConfigError(f"{flag}={text}: {item!r} is no whole number of 1 or more, with at most 9 digits.")
    return tuple(sorted(int(item) for item in _items(text)))
