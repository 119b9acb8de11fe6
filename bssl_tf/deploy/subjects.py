"""What can be exported: the student of a run, or a classifier that was fine-tuned from one."""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bssl_tf.config import saved
from bssl_tf.config.training import DataSettings
from bssl_tf.config.validation import validate_group
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import fingerprint, read_json
from bssl_tf.runs import BACKBONE_FILES, Workdir

if TYPE_CHECKING:
    import tensorflow as tf

    from bssl_tf.models import BackboneSpec

LOGITS = "logits"
"""Name of a classifier's output in a .tflite file."""
CLASSIFIER_FILES = ("classifier.json", "classifier.weights.h5")


@dataclass(frozen=True)
class Subject:
    """A trained network to export.

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
    class_names: list[str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """Name of the file's output."""
        return "features" if self.class_names is None else LOGITS

    @property
    def fingerprint(self) -> str:
        return "-".join(fingerprint(self.folder / name) for name in self.files)

    def load(self) -> tuple["tf.keras.Model", "BackboneSpec"]:
        """The network and the description of its backbone."""
        from bssl_tf.models import load_backbone
        from bssl_tf.models.classifier import load_classifier

        if self.class_names is None:
            return load_backbone(self.folder)
        classifier = load_classifier(self.folder)
        return classifier.model, classifier.spec


def subject_of(source: str | os.PathLike, named: str = "source") -> Subject:
    """The student of a run, or the classifier in a folder.

    Args:
        source: a run's workdir or a classifier's folder.
        named: the flag or argument that named it, for messages.

    Raises:
        ConfigError: there is nothing to export.
    """
    folder = Path(source)
    if all((folder / file).exists() for file in (*BACKBONE_FILES, *CLASSIFIER_FILES)):
        return classifier_in(folder, named)
    student = _student_folder(folder, named)
    return Subject(student, BACKBONE_FILES, saved.load(Workdir(folder).config_file).data)


def classifier_in(folder: Path, named: str = "source") -> Subject:
    """The fine-tuned classifier in a folder.

    Raises:
        ConfigError: there is none.
    """
    files = (*BACKBONE_FILES, *CLASSIFIER_FILES)
    missing = [name for name in files if not (folder / name).exists()]
    if missing:
        raise ConfigError(
            f"{named}={folder} holds no classifier ({missing[0]} is missing): evaluate.py --protocols=finetune "
            "makes them, in WORKDIR/evaluation/classifiers."
        )
    file, remedy = folder / CLASSIFIER_FILES[0], "fine-tune it again"
    description = read_json(file, dict, remedy)
    facts, names = description.get("facts"), description.get("class_names")
    if not isinstance(facts, dict) or not isinstance(facts.get("data"), dict):
        raise UserError(f"{file}: facts cannot be {str(facts)[:40]!r}: {remedy}.")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{file}: class_names cannot be {str(names)[:40]!r}: {remedy}.")
    settings = {field.name for field in fields(DataSettings)}
    data = DataSettings(**{name: value for name, value in facts.pop("data").items() if name in settings})
    try:
        validate_group(data)
    except ConfigError as error:
        raise UserError(f"{file}: {error} Or {remedy}.") from None
    return Subject(folder, files, data, names, {"class_names": names, "classifier": facts})


def _student_folder(workdir: Path, named: str) -> Path:
    final = Workdir(workdir).stage(2)
    if final.has_backbone:
        return final.path
    if Workdir(workdir).stage(1).has_backbone:
        raise ConfigError(
            f"{named}={workdir} holds stage 1 only, whose weights are float: train stage 2 (--stages=1,2) before "
            "converting."
        )
    raise ConfigError(f"{named}={workdir} holds no finished stage 2: train one first, see train.py.")
