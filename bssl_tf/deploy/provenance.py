"""Where a converted file comes from, as facts that travel in it; none of them reveals the machine it was made on."""

import hashlib
import json
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from bssl_tf.data.framing import short_side_of
from bssl_tf.deploy.metadata import FileFacts
from bssl_tf.deploy.report import versions
from bssl_tf.deploy.subjects import Subject
from bssl_tf.files import read_json
from bssl_tf.models import BackboneSpec
from bssl_tf.runs import PhaseFolder


def file_facts(subject: Subject, spec: BackboneSpec, outputs: Sequence[str], command: Sequence[str]) -> FileFacts:
    """The metadata of a subject's file.

    Args:
        subject: what is exported.
        spec: of its network.
        outputs: what the file gives.
        command: the arguments of the command that makes the file.
    """
    settings = PhaseFolder(subject.folder).settings_file
    training = {"dataset": subject.data.dataset}
    if settings.exists():
        training = read_json(settings, dict, "restore it from a copy")
    colours = "grey" if spec.channels == 1 else "RGB"
    return FileFacts(
        name=spec.name,
        description=f"Binary network for Larq Compute Engine: {spec.image_size}×{spec.image_size} {colours} pixels in "
        f"0..255 to {' and '.join(outputs)}. Larger photos: short side shrunk to {short_side_of(spec.image_size)}, "
        f"then the {spec.image_size}×{spec.image_size} in the middle.",
        version=subject.fingerprint,
        provenance=provenance(spec, subject.fingerprint, training, outputs, command),
        labels={} if subject.class_names is None else {subject.output: tuple(subject.class_names)},
    )


def provenance(
    spec: BackboneSpec, weights: str, training: dict[str, Any], outputs: Sequence[str], command: Sequence[str]
) -> dict[str, Any]:
    """The origin of a file's network: weights, pixels, training.

    Args:
        spec: of the network.
        weights: fingerprint of its weights.
        training: the settings that shaped its training, of a phase's settings.json.
        outputs: what the file gives.
        command: the arguments of the command that makes the file.
    """
    settings = {**training, "dataset": without_folders(training.get("dataset", ""))}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return {
        "network": spec.name,
        "weights": weights,
        "pixels": {
            "range": [0, 255],
            "image_size": spec.image_size,
            "channels": spec.channels,
            "normalisation_inside": {"mean": list(spec.mean), "std": list(spec.std)},
        },
        "outputs": list(outputs),
        "training": {
            "dataset": settings["dataset"],
            "seed": training.get("seed"),
            "epochs": training.get("epochs"),
            "teacher": training.get("teacher_fingerprint"),
            "settings_sha256": digest,
        },
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(without_folders(argument) for argument in command),
        "versions": versions(),
    }


def without_folders(text: str) -> str:
    """The last part of a path, also behind the = of a flag or the colon of a data set."""
    for separator in ("=", ":"):
        if separator in text.split("/")[0]:
            head, _, tail = text.partition(separator)
            return f"{head}{separator}{without_folders(tail)}"
    return text.rstrip("/").split("/")[-1]
