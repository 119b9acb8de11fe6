"""Turns a trained student into a .tflite file for Larq Compute Engine, and proves that it is the same network.

    python convert.py --workdir=runs/digits --output=model.tflite
    python convert.py --classifier=runs/digits/evaluation/classifiers/NAME --output=classifier.tflite

The file takes pixels as the user has them (0..255), and its metadata describe it for an app. Beside it stand a
report for people (.md) and one for programs (.json). If file and Keras network disagree on real test images, nothing
is written.

    python convert.py --lint=PATH                       what will not be fast on the phone; exit status for CI
    python convert.py --show=model.tflite               the file's inputs, outputs, labels and provenance
    python convert.py --benchmark=android --output=…    how fast it is there
"""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from absl import flags

from bssl_tf.cli import benchmark, lint, show
from bssl_tf.config import flags as configuration
from bssl_tf.config.export import ExportSettings
from bssl_tf.config.training import DataSettings
from bssl_tf.config.without_effect import data_without_effect
from bssl_tf.console import console, program, run_entry_point
from bssl_tf.deploy.export import export, has_few_test_images
from bssl_tf.deploy.subjects import Subject, classifier_in, subject_of
from bssl_tf.errors import ConfigError

OTHER_JOBS = (lint, show, benchmark)
"""What this program does instead of converting, each with a flag of its own."""
_OF_CONVERTING = ("workdir", "classifier", "output")


def main() -> None:
    """Run the command: convert, or do one of `OTHER_JOBS`."""
    configuration.warn_of_unreadable_methods()
    if (other_job := _other_job()) is not None:
        other_job.main()
        return
    settings = configuration.group_from_flags(ExportSettings)
    subject = _subject()
    data = configuration.data_from_flags(subject.data, _IDLE)
    if "codes" not in settings.backbone_outputs and not _compares_training_images(subject, settings, data):
        why = "needs --outputs=codes, or a data set of few test images"
        configuration.refuse_without_effect(dict.fromkeys(_OF_TRAINING_IMAGES, why))
    exported = export(subject, flags.FLAGS.output, settings, data=data, command=["python", *sys.argv])

    workdir = flags.FLAGS.workdir
    output, report = exported.path, exported.path.with_suffix(".md")
    if exported.reused:
        console.print(f"[bold green]done[/]: {output} was made from these very weights, see {report}")
        return
    console.print(str(exported.parity))
    if exported.rounded:
        console.print(f"with float weights in {settings.float_weights}, as in the file: {exported.rounded}")
    console.print(f"[bold green]done[/]: {output} ({exported.report['bytes'] / 1024:.0f} KiB), report in {report}")
    if subject.class_names is not None:
        console.print(f"next: {evaluate_command(output, data)}")
    elif output.parent != Path(workdir) and "features" in settings.backbone_outputs:
        console.print(f"next: {program('evaluate')} {shlex.join([f'--workdir={workdir}', f'--model={output}'])}")


_IDLE = dict.fromkeys(("image_size", "channels"), "is that of the network") | {"decoded_cache_mb": "is for training"}
"""Data settings without effect here, and why."""
_OF_TRAINING_IMAGES = ("train_split", "max_train_images")


def evaluate_command(model: Path, data: DataSettings) -> str:
    """The command that evaluates a file on these images: with all settings that say which ones they are.

    Args:
        model: the .tflite file.
        data: the images that it was trained for. Others in place of the test images may have been trained on.
    """
    idle, usual = {*data_without_effect(data), *_IDLE}, DataSettings()
    names = [field.name for field in fields(DataSettings) if field.name not in idle]
    changed = [name for name in names if name == "dataset" or getattr(data, name) != getattr(usual, name)]
    arguments = [f"--model={model}", *(f"--{name}={getattr(data, name)}" for name in changed)]
    return f"{program('evaluate')} {shlex.join(arguments)}"


def _compares_training_images(subject: Subject, settings: ExportSettings, data: DataSettings) -> bool:
    """Whether the export does so; found out only where a flag is given that needs it, since images are looked at."""
    return any(flags.FLAGS[name].present for name in _OF_TRAINING_IMAGES) and has_few_test_images(
        subject, settings, data
    )


def _other_job() -> ModuleType | None:
    """What is to be done instead of converting.

    Raises:
        ConfigError: two jobs, or a flag that does nothing in the one.
    """
    wanted = [job for job in OTHER_JOBS if flags.FLAGS[job.FLAG].present]
    if len(wanted) > 1:
        given = " and ".join(f"--{job.FLAG}={flags.FLAGS[job.FLAG].value}" for job in wanted)
        raise ConfigError(f"{given} are jobs of their own: give one of them.")
    idle = {name: f"is for --{job.FLAG}" for job in OTHER_JOBS if job not in wanted for name in job.FLAGS}
    if wanted:
        settings = [field.name for group in (ExportSettings, DataSettings) for field in fields(group)]
        of_converting = [name for name in (*settings, *_OF_CONVERTING) if name not in wanted[0].USED]
        idle |= dict.fromkeys(of_converting, f"is for converting, not for --{wanted[0].FLAG}")
    configuration.refuse_without_effect(idle)
    return wanted[0] if wanted else None


def _subject() -> Subject:
    if flags.FLAGS.classifier:
        configuration.refuse_without_effect({"workdir": "is not for --classifier, whose folder says it all"})
        return classifier_in(Path(flags.FLAGS.classifier), "--classifier")
    if not flags.FLAGS.workdir:
        raise ConfigError("nothing to convert: give --workdir of a run, or --classifier of a fine-tuned network.")
    return subject_of(flags.FLAGS.workdir, "--workdir")


def run() -> None:
    """Console script ``bssl-convert``."""
    configuration.define_flags(ExportSettings)
    configuration.define_flags(DataSettings, left_alone="that of the run")
    flags.DEFINE_string("workdir", "", "The run whose student is converted.")
    flags.DEFINE_string("classifier", "", "Instead: a fine-tuned classifier's folder, see evaluate.py.")
    flags.DEFINE_string("output", "model.tflite", "The file to write.")
    for part in OTHER_JOBS:
        part.define_flags()
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
