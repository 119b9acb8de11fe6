"""Turns a trained student into a .tflite file for Larq Compute Engine, and proves that it is the same network.

    python convert.py --workdir=runs/digits --output=model.tflite
    python convert.py --classifier=runs/digits/evaluation/classifiers/NAME --output=classifier.tflite

The file takes pixels as the user has them (0..255). Beside it stand a report for people (.md) and one
for programs (.json), and for a classifier the names of its classes (.labels.txt). If file and Keras network
disagree on real test images, nothing is written.
"""

import json
import shlex
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Optional

from absl import flags

from bssl_tf import config as configuration
from bssl_tf.cli.console import console, run_entry_point
from bssl_tf.config import DataSettings
from bssl_tf.errors import ConfigError
from bssl_tf.files import fingerprint, write_bytes, write_text
from bssl_tf.quiet import import_tensorflow
from bssl_tf.training.phases import BACKBONE_FILES

CLASSIFIER_FILES = ("classifier.json", "classifier.weights.h5")


@dataclass(frozen=True)
class Subject:
    """What is converted.

    Attributes:
        folder: where it lies.
        files: what it consists of.
        data: images it was trained for.
        class_names: of a classifier; None for a backbone.
        facts: for the report.
    """

    folder: Path
    files: tuple[str, ...]
    data: DataSettings
    class_names: Optional[list[str]] = None
    facts: Optional[dict[str, Any]] = None

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


def main() -> None:
    arguments = flags.FLAGS
    subject, output = _subject(arguments.workdir, arguments.classifier), Path(arguments.output)
    _check_output(output)
    identity = {"weights": subject.fingerprint, "input_type": arguments.input_type}
    if _converted_before(output, identity):
        console.print(
            f"[bold green]done[/]: {output} was made from these very weights, see {output.with_suffix('.md')}"
        )
        return
    if output.exists() and not arguments.overwrite:
        raise ConfigError(
            f"--output={output} exists and came from other weights: name another file, or add --overwrite."
        )
    data = configuration.group_from_flags(DataSettings, base=subject.data)

    import_tensorflow()
    import tensorflow as tf

    from bssl_tf.data import evaluation_images, load_source, readable_data_errors
    from bssl_tf.deploy import compare, convert_backbone, deployment_plan, inspect_file, write_report

    tf.keras.mixed_precision.set_global_policy("float32")
    network, spec = subject.load()
    test = load_source(data, "test", subject.folder.parent)
    every = max(1, test.num_examples // arguments.parity_images)
    images = evaluation_images(test, image_size=spec.image_size, channels=spec.channels, every=every)

    console.print(f"converting {network.name} from {subject.folder} …")
    kind = "features" if subject.class_names is None else "logits"
    content = convert_backbone(network, input_type=arguments.input_type, output=kind)
    console.print("comparing with Keras on real test images …")
    with readable_data_errors():
        parity = compare(network, content, images).check()
    extra = {"source": identity, "test data": test.name}
    if subject.class_names is not None:
        write_text(output.with_suffix(".labels.txt"), "\n".join(subject.class_names) + "\n")
        extra |= {"class_names": subject.class_names, "classifier": subject.facts}
    write_bytes(output, content)
    command = shlex.join(["python", *sys.argv])
    write_report(output, inspect_file(content), deployment_plan(network), parity, command=command, extra=extra)
    console.print(str(parity))
    console.print(
        f"[bold green]done[/]: {output} ({len(content) / 1024:.0f} KiB), report in {output.with_suffix('.md')}"
    )
    if subject.class_names is not None:
        console.print(f"next: python evaluate.py --model={output} --dataset={data.dataset}")
    elif output.parent != Path(arguments.workdir):
        console.print(f"next: python evaluate.py --workdir={arguments.workdir} --model={output}")


def _subject(workdir: str, classifier: str) -> Subject:
    """A classifier's folder may be given as either of both flags."""
    if not classifier and (Path(workdir) / CLASSIFIER_FILES[0]).exists():
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
    return Subject(folder, files, DataSettings(**data), description["class_names"], description["facts"])


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


def _check_output(output: Path) -> None:
    if output.suffix != ".tflite":
        raise ConfigError(f"--output={output} must be a file name that ends in .tflite.")
    if output.is_dir():
        raise ConfigError(f"--output={output} is a folder: name a file.")


def _converted_before(output: Path, identity: dict[str, str]) -> bool:
    report = output.with_suffix(".json")
    if not (output.exists() and report.exists()):
        return False
    return json.loads(report.read_text()).get("extra", {}).get("source") == identity


def run() -> None:
    """Console script ``bssl-convert``."""
    configuration.define_flags(DataSettings)
    flags.DEFINE_string("workdir", "", "The run whose student is converted.")
    flags.DEFINE_string("classifier", "", "Instead: a fine-tuned classifier's folder, see evaluate.py.")
    flags.DEFINE_string("output", "model.tflite", "The file to write.")
    flags.DEFINE_enum("input_type", "uint8", ["uint8", "float32"], "Type of the file's input; pixels 0..255 in both.")
    flags.DEFINE_boolean("overwrite", False, "Replace a file that came from other weights.")
    flags.DEFINE_integer("parity_images", 2000, "Test images to compare file and Keras network on.", lower_bound=16)
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
