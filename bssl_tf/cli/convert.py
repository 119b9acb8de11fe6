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

import sys
from pathlib import Path

from absl import flags

from bssl_tf.cli import benchmark, lint, show
from bssl_tf.config import flags as configuration
from bssl_tf.config.export import ExportSettings
from bssl_tf.config.training import DataSettings
from bssl_tf.console import console, program, run_entry_point
from bssl_tf.deploy.export import export
from bssl_tf.deploy.subjects import Subject, classifier_in, subject_of
from bssl_tf.errors import ConfigError

OTHER_JOBS = (lint, show, benchmark)
"""What this program does instead of converting, each with a flag of its own."""


def main() -> None:
    """Run the command: convert, or do one of `OTHER_JOBS`."""
    configuration.warn_of_unreadable_methods()
    for other_job in OTHER_JOBS:
        if flags.FLAGS[other_job.FLAG].present:
            other_job.main()
            return
    settings = configuration.group_from_flags(ExportSettings)
    subject = _subject()
    data = configuration.data_from_flags(subject.data, _idle(settings))
    exported = export(subject, flags.FLAGS.output, settings, data=data, command=["python", *sys.argv])

    output, report = exported.path, exported.path.with_suffix(".md")
    if exported.reused:
        console.print(f"[bold green]done[/]: {output} was made from these very weights, see {report}")
        return
    console.print(str(exported.parity))
    if exported.rounded:
        console.print(f"with float weights in {settings.float_weights}, as in the file: {exported.rounded}")
    console.print(f"[bold green]done[/]: {output} ({exported.report['bytes'] / 1024:.0f} KiB), report in {report}")
    if subject.class_names is not None:
        console.print(f"next: {program('evaluate')} --model={output} --dataset={data.dataset}")
    elif output.parent != Path(flags.FLAGS.workdir) and "features" in settings.backbone_outputs:
        console.print(f"next: {program('evaluate')} --workdir={flags.FLAGS.workdir} --model={output}")


def _idle(settings: ExportSettings) -> dict[str, str]:
    """Data settings without effect here, and why."""
    idle = dict.fromkeys(("image_size", "channels"), "is that of the network")
    idle["decoded_cache_mb"] = "is for training"
    if "codes" not in settings.backbone_outputs:
        idle |= dict.fromkeys(("train_split", "max_train_images"), "needs --outputs=codes")
    return idle


def _subject() -> Subject:
    if flags.FLAGS.classifier:
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
