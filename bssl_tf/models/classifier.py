"""A backbone with a linear classifier on top, and the folder that holds both.

    classifier = build_classifier(spec, class_names, backbone)
    save_classifier(classifier, folder, facts)              # backbone.json, backbone.weights.h5, classifier.json, …
    classifier = load_classifier(folder)
    classifier.model                                        # pixels 0..255 in, a logit for each class out

The backbone stays what it is, binary for instance; the classifier is a float dense layer, since Larq Compute Engine
has no binary one.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.files import read_json, write_bytes, write_json
from bssl_tf.models.backbone import load_backbone, save_backbone
from bssl_tf.models.spec import BackboneSpec
from bssl_tf.models.weights_file import memory_as_in, read_arrays

CLASSIFIER_FILE = "classifier.json"
CLASSIFIER_WEIGHTS_FILE = "classifier.weights.h5"
_REMEDY = "restore it from a copy, or fine-tune it again"


@dataclass(frozen=True)
class Classifier:
    """Attributes:
    spec: describes the backbone.
    backbone: pixels (None, S, S, C) in 0..255 → (None, D).
    head: (None, D) → logits (None, classes), a dense layer, float32 under every precision policy.
    class_names: in the order of the logits.
    model: both in one, pixels → logits.
    """

    spec: BackboneSpec
    backbone: tf.keras.Model
    head: tf.keras.layers.Dense
    class_names: tuple[str, ...]
    model: tf.keras.Model


def build_classifier(spec: BackboneSpec, class_names: tuple[str, ...], backbone: tf.keras.Model) -> Classifier:
    """Put a new classifier on a backbone. It starts at zero: all classes alike, whatever the scale of the features."""
    head = tf.keras.layers.Dense(len(class_names), kernel_initializer="zeros", dtype="float32", name="classifier")
    model = tf.keras.Model(backbone.input, head(backbone.output), name=f"{backbone.name}_classifier")
    return Classifier(spec, backbone, head, tuple(class_names), model)


def save_classifier(classifier: Classifier, folder: Path, facts: dict[str, Any]) -> None:
    """Write a classifier's four files, each whole or not at all; classifier.json last.

    Args:
        classifier: what to write.
        folder: where to.
        facts: such as data set and accuracy; for people, and the report of `convert.py`.
    """
    folder, content = Path(folder), io.BytesIO()
    save_backbone(classifier.backbone, classifier.spec, folder)
    kernel, bias = classifier.head.get_weights()
    with h5py.File(content, "w") as file:
        file["kernel"], file["bias"] = kernel, bias
    write_bytes(folder / CLASSIFIER_WEIGHTS_FILE, content.getvalue())
    names = list(classifier.class_names)
    write_json(folder / CLASSIFIER_FILE, {"class_names": names, "width": kernel.shape[0], "facts": facts})


def load_classifier(folder: Path) -> Classifier:
    """Read what `save_classifier` wrote.

    Raises:
        FileNotFoundError: a file is missing.
        UserError: a file is damaged, or they do not belong together.
    """
    folder = Path(folder)
    for name in (CLASSIFIER_FILE, CLASSIFIER_WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no classifier: {name} is missing.")
    path, weights = folder / CLASSIFIER_FILE, folder / CLASSIFIER_WEIGHTS_FILE
    names = read_json(path, dict, _REMEDY).get("class_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: class_names cannot be {str(names)[:40]!r}: {_REMEDY}.")
    backbone, spec = load_backbone(folder)
    with memory_as_in(weights, described_in=CLASSIFIER_FILE):
        classifier = build_classifier(spec, tuple(names), backbone)
    kernel, bias = classifier.head.weights
    shapes = {"kernel": tuple(kernel.shape), "bias": tuple(bias.shape)}
    arrays = read_arrays(weights, shapes, f"the classifier that {CLASSIFIER_FILE} describes")
    classifier.head.set_weights([arrays["kernel"], arrays["bias"]])
    return classifier
