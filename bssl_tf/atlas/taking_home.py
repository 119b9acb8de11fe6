"""The classifier that the labels make, as a .tflite file: same export, parity check and report as any network."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.atlas.predicting import Accuracy, Predictions
from bssl_tf.config import saved as configuration
from bssl_tf.config.training import DataSettings
from bssl_tf.errors import UserError
from bssl_tf.runs import BACKBONE_FILES

if TYPE_CHECKING:
    from bssl_tf.deploy.export import Export

_PARITY_PHOTOS = 64
"""Or a tenth of them, if that is more."""


def find_run(model: Path, workdir: str) -> Path | None:
    """The run whose student is in the model's file, for its Keras network.

    Args:
        model: the .tflite file.
        workdir: of the run, as named by the user; "": the folder in which the file lies, if it is a run.

    Raises:
        UserError: the named run has no student, or other weights than the file.
    """
    run = Path(workdir or model.parent)
    if not all((run / "stage2" / name).exists() for name in BACKBONE_FILES):
        if workdir:
            raise UserError(f"--workdir={workdir} holds no finished stage 2: name the run that {model} came from.")
        return None
    if _weights_in(model) != _weights_of(run):
        if workdir:
            raise UserError(f"{model} did not come from --workdir={workdir}: its weights are others.")
        return None
    return run


def export_linear(
    folder: Path,
    output: Path,
    run: Path,
    photos: PhotoFolder,
    predictions: Predictions,
    accuracy: Accuracy | None,
) -> "Export":
    """The run's frozen student with the linear classifier on it.

    Args:
        folder: where the Keras classifier is saved.
        output: the .tflite file to write; an older one is replaced.
        run: as `find_run` gives it.
        photos: file and Keras network are compared on some of them.
        predictions: with the classifier, and the labels and class names that it was made of.
        accuracy: of the held-out ones among those labels, for the report.

    Raises:
        UserError: the file does not compute what the Keras network computes, or there are too few photos to decide.
    """
    from bssl_tf.config.export import ExportSettings
    from bssl_tf.data.sources.folder import FolderSource, order_of
    from bssl_tf.deploy.export import export
    from bssl_tf.deploy.parity import TooFewImages
    from bssl_tf.models import load_backbone
    from bssl_tf.models.classifier import build_classifier, save_classifier

    backbone, spec = load_backbone(run / "stage2")
    names = predictions.labelled.class_names
    classifier = build_classifier(spec, names, backbone)
    classifier.head.set_weights(predictions.fit.dense(len(names)))
    facts = {
        "network": run.name,
        "trained by": "logistic regression on frozen features, labels of the photo atlas",
        "labelled images": len(predictions.labelled.photos),
        "held-out accuracy": accuracy_in_words(accuracy),
        "data": dataclasses.asdict(later_data(run, photos)),
    }
    save_classifier(classifier, folder, facts)
    # As the atlas found them: a folder of --dataset has rules of its own, for labels.csv, train/ and test/, a holdout.
    compared = sorted(photos.paths, key=order_of)[: max(_PARITY_PHOTOS, len(photos) // 10)]
    images = FolderSource(photos.report, compared)
    try:
        return export(folder, output, ExportSettings(overwrite=True), images=images, command=["bssl-atlas"])
    except TooFewImages as error:
        raise UserError(f"{error.problem} Put more photos into {photos.root}, and start bssl-atlas again.") from None


def later_data(run: Path, photos: PhotoFolder) -> DataSettings:
    """Images for a later export of the classifier by `bssl-convert`: a share of the photos that is large enough."""
    trained_on = configuration.load(run / "config.json").data
    share = min(0.9, max(DataSettings().holdout, _PARITY_PHOTOS / len(photos)))
    return dataclasses.replace(
        trained_on,
        dataset=f"folder:{photos.root}",
        data_dir="",
        holdout=share,
        max_train_images=0,
        max_test_images=0,
    )


def accuracy_in_words(accuracy: Accuracy | None) -> str:
    """For the report: right answers, interval, of which photos, and classes that were not trained on."""
    if accuracy is None:
        return "not measured: too few labels"
    overall, labelled = accuracy.overall(), accuracy.labelled
    low, high = overall["interval"]
    kind = "labels held out, not a random sample"
    if accuracy.unbiased:
        kind = "random checks, of the photos that had no label when they were drawn"
    if labelled.untrained:
        kind += f"; too few labels to train on: {', '.join(labelled.names[each] for each in labelled.untrained)}"
        kind += ", whose checks count as wrong" if accuracy.unbiased else ""
    return f"{overall['right']} of {overall['count']} (95 % interval {low:.3f} to {high:.3f}; {kind})"


def _weights_in(model: Path) -> str | None:
    """Fingerprint of the weights that a file was made from; None where it does not say."""
    from bssl_tf.deploy.metadata import MetadataError, read_metadata

    try:
        return read_metadata(model.read_bytes()).provenance.get("weights")
    except (MetadataError, json.JSONDecodeError):
        return None


def _weights_of(run: Path) -> str:
    from bssl_tf.files import fingerprint

    return "-".join(fingerprint(run / "stage2" / name) for name in BACKBONE_FILES)
