"""The interface of all protocols: `Task` in, `Score`s out."""

import abc
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.training import ViewSettings
from bssl_tf.evaluation.labelled_data import LabelledData


@dataclass(frozen=True)
class Network:
    """Something to measure.

    Attributes:
        name: its row in the table.
        identity: changes when the network changes.
        load: () → a Keras backbone, or a `deploy.TfliteBackbone`.
        spec: fields of its `BackboneSpec`; None for a .tflite file and for a foreign Keras model.
        pretrained: False for random weights.
        class_names: of a .tflite file that is a classifier, in the order of its outputs; None for features.
        facts: more to put in its row.
        path: where it lies, if it lies somewhere.
        requested: whether the user named it; else it was found in a workdir.
    """

    name: str
    identity: str
    load: Callable[[], Any]
    spec: dict[str, Any] | None = None
    pretrained: bool = True
    class_names: tuple[str, ...] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    requested: bool = False

    @property
    def backbone_fields(self) -> dict[str, Any]:
        """Fields of its `BackboneSpec`.

        Raises:
            ValueError: it has none.
        """
        if self.spec is None:
            raise ValueError(f"{self.name} is no backbone of this package.")
        return self.spec


@dataclass(frozen=True)
class Score:
    """One number, of one draw.

    Attributes:
        measure: what was measured, for instance "20-NN".
        value: accuracy in 0..1.
        images: labelled training images that were used.
        labels: how many that is, in words ("10 %", "4 per class"); "" for all.
        headline: whether it belongs in the short table.
        details: what else is worth keeping, as JSON can hold it.
    """

    measure: str
    value: float
    images: int
    labels: str = ""
    headline: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Task:
    """What a protocol works on.

    Attributes:
        network: the network.
        data: labelled images.
        model: () → the loaded network.
        features: "train" or "test" → (n, D) float32, in the order of the labels.
        views: crops and flips for protocols that train on augmented images.
        folder: where results that are files belong; None: nowhere.
        progress: title, total steps, steps an epoch, batch size → a progress display with `advance`, `show`, `close`.
        log: prints a line for the user.
    """

    network: Network
    data: LabelledData
    model: Callable[[], Any]
    features: Callable[[str], np.ndarray]
    views: ViewSettings
    folder: Path | None
    progress: Callable[..., Any]
    log: Callable[[str], None]


class Protocol(abc.ABC):
    """A way to judge a network.

    Args:
        settings: those of the evaluation.
    """

    name: str
    version = 1
    """A new one where the same settings give other scores than before."""
    reads: tuple[str, ...] = ()
    """Names of the settings that change its scores, beside the seed and what `parts` says."""
    parts_from: tuple[str, ...] = ()
    """Names of the settings that `parts` follows from."""
    reads_views: tuple[str, ...] = ()
    """Names of the settings of views that change its scores."""
    several_labels = False
    """Whether it can judge on images with several labels."""
    requirement = "It needs features: a backbone, not a classifier."
    """For the message where it applies to none of the networks."""

    def __init__(self, settings: EvaluationSettings):
        self.settings = settings

    @property
    def identity(self) -> dict[str, Any]:
        """Changes when the scores may change."""
        return {"version": self.version} | {name: getattr(self.settings, name) for name in (*self.reads, "seed")}

    def applies_to(self, network: Network) -> bool:
        """Whether this network can be judged: any that gives features, unless a protocol says otherwise."""
        return network.class_names is None

    def parts(self) -> list[dict[str, Any]]:
        """What is measured, and saved, one after another: arguments of `run`."""
        return [{}]

    def check(self, data: LabelledData) -> None:  # noqa: B027 – most protocols work on all data
        """Refuse data that the protocol cannot work on, before anything is computed.

        Raises:
            UserError: says what is missing.
        """

    def misfit(self, network: Network, data: LabelledData) -> str:
        """Why this network, which the protocol applies to, cannot be judged on these images; empty if it can."""
        return ""

    @abc.abstractmethod
    def run(self, task: Task, *_: Any, **part: Any) -> list[Score]:
        """Measure one of `parts`, given as keyword arguments."""


def keras_only(network: Network) -> bool:
    """Whether the network is a Keras backbone that can be built again, and so trained."""
    return network.spec is not None
