"""Training with few labels: the pretrained binary network, and the same network from scratch for comparison.

A dense classifier is put on the network; it alone is trained, or both, or both with learning rates that fall towards
the input. It starts as the logistic regression of the same labels, as an untrained classifier would first spoil
the features (https://arxiv.org/abs/2202.10054). The network stays binary. Every result is saved as a classifier that
`convert.py --classifier=` takes. Learning rate and length are those of the flags for all: nothing is chosen, so nothing
is chosen on test images.
"""

import dataclasses
import hashlib
import shlex
from typing import Any

import numpy as np

from bssl_tf.config.evaluation import ALL_LABELS
from bssl_tf.console import program
from bssl_tf.evaluation.labelled_data import LabelledData, confusion_of
from bssl_tf.evaluation.protocols.base import Network, Protocol, Score, Task, keras_only
from bssl_tf.evaluation.protocols.linear import fit_linear
from bssl_tf.evaluation.subsets import check_amount, draws_of, file_name, in_words, saved_subset
from bssl_tf.models.choices import BINARY
from bssl_tf.runs import EvaluationFolder

MEASURES = {"head": "classifier trained", "whole": "fine-tuned", "layerwise": "fine-tuned layer-wise"}


class Finetune(Protocol):
    """Trains a classifier, or the whole pretrained network with one, on few labels."""

    name = "finetune"
    reads: tuple[str, ...] = (
        "finetune_steps",
        "finetune_batch_size",
        "finetune_learning_rate",
        "finetune_layers",
        "finetune_start",
        "finetune_crop_min",
        "layerwise_lr_decay",
    )
    parts_from = ("labels", "finetune_draws")
    reads_views = ("crop_max", "flip")
    requirement = "It needs a pretrained binary Keras backbone, such as WORKDIR/stage2."

    def applies_to(self, network: Network) -> bool:
        return keras_only(network) and network.pretrained and network.backbone_fields["mode"] == BINARY

    def parts(self) -> list[dict[str, Any]]:
        return draws_of(self.settings.amounts, self.settings.finetune_draws)

    def check(self, data: LabelledData) -> None:
        for amount in self.settings.amounts:
            check_amount(amount, data.train_labels)

    @property
    def layers(self) -> str:
        """What is trained, a key of `MEASURES`."""
        return self.settings.finetune_layers

    @property
    def starts_linear(self) -> bool:
        """Whether the classifier starts as a logistic regression, else at zero."""
        return self.settings.finetune_start == "linear"

    def run(self, task: Task, *, amount: str, draw: int) -> list[Score]:
        import tensorflow as tf

        from bssl_tf.data.sources.subset import SubsetSource
        from bssl_tf.evaluation.protocols.classifier_training import ClassifierTraining, train_classifier
        from bssl_tf.models import BackboneSpec
        from bssl_tf.models.classifier import build_classifier, save_classifier

        settings, data, seed = self.settings, task.data, self.settings.seed + draw
        folder = task.folder and EvaluationFolder(task.folder).subsets
        chosen = saved_subset(folder, data.name, data.train_fingerprint, data.train_labels, amount, seed)
        images = data.train if amount == ALL_LABELS else SubsetSource(data.train, chosen)
        training = ClassifierTraining(
            tf.keras.optimizers.Adam(
                tf.keras.optimizers.schedules.CosineDecay(settings.finetune_learning_rate, settings.finetune_steps)
            ),
            steps=settings.finetune_steps,
            batch_size=settings.finetune_batch_size,
            views=dataclasses.replace(task.views, crop_min=settings.finetune_crop_min),
            seed=seed,
            layerwise_lr_decay=settings.layerwise_lr_decay if self.layers == "layerwise" else 1.0,
            train_backbone=self.layers != "head",
        )
        backbone = task.network.load()  # one of its own: the one of the task stays as it is
        classifier = build_classifier(BackboneSpec(**task.network.backbone_fields), data.class_names, backbone)
        if self.starts_linear:
            features = task.features("train")
            fit = fit_linear(features[chosen], data.train_labels[chosen], seed, scale_of=features)
            classifier.head.set_weights(fit.dense(len(data.class_names)))
        train_classifier(classifier, images, training, task.progress)
        accuracy, confusion = accuracy_of(classifier, data)
        details: dict[str, Any] = {"confusion": confusion}
        if task.folder:
            inputs = (task.network.identity, self.identity, data.train_fingerprint, data.settings)
            made_from = hashlib.sha256(" ".join(map(str, inputs)).encode()).hexdigest()[:6]
            name = f"{self.name}-{self.layers}-{data.name}-{amount}-draw{draw}-{made_from}"
            saved = EvaluationFolder(task.folder).classifiers / file_name(name)
            facts = {
                "network": task.network.name,
                "trained by": self.name,
                "labels": amount,
                "labelled images": len(chosen),
                "test accuracy": round(accuracy, 4),
                "settings": self.identity,
                "data": data.settings,
            }
            save_classifier(classifier, saved, facts)
            details["classifier"] = saved.relative_to(task.folder).as_posix()
            command = f"{program('convert')} {shlex.join([f'--classifier={saved}'])}"
            task.log(f"{100 * accuracy:.1f} % with {len(chosen)} labels: {command}")
        return [Score(MEASURES[self.layers], accuracy, len(chosen), in_words(amount), details=details)]


class Scratch(Finetune):
    """The same network from random weights on the same labels; all of it is trained."""

    name = "scratch"
    reads = ("finetune_steps", "finetune_batch_size", "finetune_learning_rate", "finetune_crop_min")
    requirement = "It needs a run with a student: --workdir."

    def applies_to(self, network: Network) -> bool:
        return keras_only(network) and not network.pretrained

    @property
    def layers(self) -> str:
        return "whole"

    @property
    def starts_linear(self) -> bool:
        return False


def accuracy_of(classifier: Any, data: LabelledData) -> tuple[float, list[list[int]] | None]:
    """Accuracy of a `models.classifier.Classifier` on the test images, and the confusion of classes."""
    from bssl_tf.data import evaluation_images, readable_data_errors
    from bssl_tf.evaluation.features import extract_features

    images = evaluation_images(data.test, image_size=classifier.spec.image_size, channels=classifier.spec.channels)
    with readable_data_errors():
        given = extract_features(classifier.model, images, "test images").argmax(axis=1)
    return float(np.mean(given == data.test_labels)), confusion_of(data.test_labels, given, data.classes)
