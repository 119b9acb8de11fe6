"""What can be converted: the student of a run, or a classifier that was fine-tuned from one."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Optional

from bssl_tf.config import flags as configuration
from bssl_tf.config.training import DataSettings
from bssl_tf.errors import ConfigError
from bssl_tf.files import fingerprint
from bssl_tf.runs import BACKBONE_FILES

CLASSIFIER_FILES = ("classifier.json", "classifier.weights.h5")


@dataclass(frozen=True)
class Subject:
    """What is converted.

    Attributes:
        folder: where it lies.
        files: what it consists of.
        data: images it was trained for.
        class_names: of a classifier; None for a backbone.
        facts: more for the report.
    """

    folder: Path
    files: tuple[str, ...]
    data: DataSettings
    class_names: Optional[list[str]] = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """What the file's output is called."""
        return "features" if self.class_names is None else "logits"

    @property
    def fingerprint(self) -> str:
        return "-".join(fingerprint(self.folder / name) for name in self.files)

    def load(self):
        """The Keras model and the `BackboneSpec`."""
        from bssl_tf.models import load_backbone
        from bssl_tf.models.classifier import load_classifier

        if self.class_names is None:
            return load_backbone(self.folder)
        classifier = load_classifier(self.folder)
        return classifier.model, classifier.spec


def subject_of(workdir: str, classifier: str) -> Subject:
    """What --workdir and --classifier name; a classifier's folder may be given as either.

    Raises:
        ConfigError: neither holds anything to convert.
    """
    if not classifier and all((Path(workdir) / file).exists() for file in (*BACKBONE_FILES, *CLASSIFIER_FILES)):
        classifier = workdir
    if classifier:
        return _classifier(Path(classifier))
    if not workdir:
        raise ConfigError("nothing to convert: give --workdir of a run, or --classifier of a fine-tuned network.")
    folder = _student_folder(Path(workdir))
    return Subject(folder, BACKBONE_FILES, configuration.load(Path(workdir) / "config.json").data)


def _classifier(folder: Path) -> Subject:
    files = (*BACKBONE_FILES, *CLASSIFIER_FILES)
    missing = [name for name in files if not (folder / name).exists()]
    if missing:
        raise ConfigError(
            f"--classifier={folder} holds no classifier ({missing[0]} is missing): evaluate.py --protocols=finetune "
            "makes them, in WORKDIR/evaluation/classifiers."
        )
    description = json.loads((folder / CLASSIFIER_FILES[0]).read_text())
    known = {field.name for field in fields(DataSettings)}
    data = {name: value for name, value in description["facts"].pop("data").items() if name in known}
    names = description["class_names"]
    return Subject(
        folder, files, DataSettings(**data), names, {"class_names": names, "classifier": description["facts"]}
    )


def _student_folder(workdir: Path) -> Path:
    folder = workdir / "stage2"
    if (folder / BACKBONE_FILES[0]).exists():
        return folder
    if (workdir / "stage1" / BACKBONE_FILES[0]).exists():
        raise ConfigError(
            f"--workdir={workdir} holds stage 1 only, whose weights are float: train stage 2 (--stages=1,2) before "
            "converting."
        )
    raise ConfigError(f"--workdir={workdir} holds no finished stage 2: train one first, see train.py.")
