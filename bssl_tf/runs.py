"""The owner of what a workdir holds: names of files and folders, what is finished, where the teacher lies.

A workdir looks like this; every phase can be resumed, and refuses to go on with other settings:

    workdir/
        config.json         the whole configuration, as last used
        views.png           what the networks see, of --preview_views
        skipped_files.txt   files of the data folder that are no readable images
        teacher/            pretraining of the float teacher
        features/           the teacher's features of views that repeat (training/feature_cache.py)
        stage1/             binary activations, float weights
        stage2/             fully binary: what is deployed
            settings.json       the settings that shaped this phase
            images.json         number and fingerprint of the training images
            checkpoints/        the two latest, with optimizer and step
            metrics.csv         losses and λ, epochs.csv: 20-NN and the binary weights' health
            tensorboard/        the same numbers
            curves.png          the same numbers, to look at
            backbone.json, backbone.weights.h5      the result
            projection.json, projection.weights.h5  what was trained on top of it, for --method=s2bnn
            summary.json        written last: the phase is done
        evaluation/         written by evaluate.py
            results.json        all scores, by what shaped them; table.md and plots/ show them
            features/           of networks and data sets (evaluation/feature_store.py)
            subsets/            which training images kept their labels
            classifiers/        fine-tuned networks, for convert.py --classifier=
        dry_run/            the same, of --dry_run

This module does not import TensorFlow, so that a finished run says so at once.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bssl_tf.config.execution import DRY_RUN
from bssl_tf.config.renamed import METRICS, with_new_names
from bssl_tf.files import (
    NUMBER,
    SECONDS_UNTIL_LEFT,
    TEMPORARY,
    Kind,
    check_values,
    fingerprint,
    read_json,
    sweep,
    write_json,
)
from bssl_tf.models.choices import TEACHERS
from bssl_tf.models.spec import SPEC_FILE, TEACHER_FOLDER, WEIGHTS_FILE

BACKBONE_FILES = (SPEC_FILE, WEIGHTS_FILE)
STAGES = (1, 2)
SUMMARY: dict[str, Kind] = {
    "steps": int,
    "epochs": int,
    "seconds": NUMBER,
    "images_per_second": NUMBER,
    "final": dict,
    "warnings": list,
}
"""What a phase's summary holds at least, and of which types."""
PHASE_FILES = (
    *BACKBONE_FILES,
    *("settings.json", "images.json", "summary.json", "metrics.csv", "epochs.csv", "curves.png"),
    *("projection.json", "projection.weights.h5"),
)
"""What a phase writes by itself, besides TensorFlow's files."""


@dataclass(frozen=True)
class PhaseFolder:
    """The folder of one training phase."""

    path: Path

    @property
    def settings_file(self) -> Path:
        return self.path / "settings.json"

    @property
    def images_file(self) -> Path:
        return self.path / "images.json"

    @property
    def summary_file(self) -> Path:
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def step_metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def epoch_metrics(self) -> Path:
        return self.path / "epochs.csv"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    @property
    def has_backbone(self) -> bool:
        return has_backbone(self.path)

    @property
    def done(self) -> bool:
        return self.summary_file.exists()

    @property
    def summary(self) -> dict[str, Any]:
        """What the finished phase wrote last: steps, seconds, images a second, final metrics, warnings.

        Raises:
            UserError: it is damaged; names the file and, if it can be read, the key.
        """
        file, remedy = self.summary_file, "delete it, and the same command writes it anew"
        summary = read_json(file, dict, remedy)
        check_values(summary, SUMMARY, file, remedy)
        whole = {name: value for name, value in summary["final"].items() if not isinstance(value, float)}
        check_values(whole, dict.fromkeys(whole, int), f"{file}: final", remedy)  # a metric may well be nan
        warnings = {f"warnings[{place}]": warning for place, warning in enumerate(summary["warnings"])}
        check_values(warnings, dict.fromkeys(warnings, str), file, remedy)
        return summary | {"final": with_new_names(summary["final"], METRICS)}

    def write_summary(self, summary: dict[str, Any]) -> None:
        """The mark that the phase is done."""
        write_json(self.summary_file, summary)

    def sweep(self, more: Iterable[str] = ()) -> list[Path]:
        """Delete what killed processes have left half written; only while nobody else trains here.

        Args:
            more: names of files that are written here besides `PHASE_FILES`.
        """
        names = [*PHASE_FILES, *more, *(file.name for file in self.checkpoints.glob("ckpt-*.sha256"))]
        return [path for folder in (self.path, self.checkpoints) for path in sweep(folder, names)]


@dataclass(frozen=True)
class Workdir:
    """The folder of a run."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def views_preview(self) -> Path:
        return self.path / "views.png"

    @property
    def teacher(self) -> PhaseFolder:
        return PhaseFolder(self.path / TEACHER_FOLDER)

    @property
    def teacher_features(self) -> Path:
        return self.path / "features"

    @property
    def evaluation(self) -> "EvaluationFolder":
        return EvaluationFolder(self.path / "evaluation")

    def stage(self, number: int) -> PhaseFolder:
        """The folder of the student's stage 1 or 2."""
        return PhaseFolder(self.path / f"stage{number}")

    def owns(self, name: str) -> bool:
        """Whether a name in the workdir is the run's own, so that nothing else may be called so; also on disks that
        do not tell capitals from small letters.
        """
        own = [self.config_file, self.views_preview, self.skipped_files(), self.skipped_files(test=True)]
        own += [self.teacher.path, *(self.stage(number).path for number in STAGES)]
        own += [self.teacher_features, self.evaluation.path, self.path / DRY_RUN]
        return name.casefold() in {path.name for path in own}

    def sweep(self) -> list[Path]:
        """Delete what killed training processes have left half written; only while nobody else trains here.

        Of the caches, which other commands and other runs fill too, only what is old; features that are half computed
        stay, and the next run goes on with them.
        """
        own = [self.config_file, self.views_preview, self.skipped_files(), self.skipped_files(test=True)]
        swept = sweep(self.path, [file.name for file in own])
        for phase in (self.teacher, *map(self.stage, STAGES)):
            swept += phase.sweep()
        scans = [path.name.removesuffix(TEMPORARY)[1:-9] for path in self.path.glob(f".folder_scan_*{TEMPORARY}")]
        swept += sweep(self.path, scans, SECONDS_UNTIL_LEFT)
        for folder in self.teacher_features.glob("*"):
            swept += sweep(folder, None, SECONDS_UNTIL_LEFT)
        return swept

    def skipped_files(self, test: bool = False) -> Path:
        """The list of files that are no readable images, of the training images' folder or of the test images'."""
        return self.path / ("skipped_test_files.txt" if test else "skipped_files.txt")


@dataclass(frozen=True)
class EvaluationFolder:
    """What evaluate.py writes, in a workdir or elsewhere (--output)."""

    path: Path

    @property
    def results_file(self) -> Path:
        return self.path / "results.json"

    @property
    def table(self) -> Path:
        return self.path / "table.md"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def features(self) -> Path:
        return self.path / "features"

    @property
    def subsets(self) -> Path:
        return self.path / "subsets"

    @property
    def classifiers(self) -> Path:
        return self.path / "classifiers"

    def sweep(self) -> list[Path]:
        """Delete what killed evaluations have left half written; only while nobody else evaluates here."""
        folders = [self.path, self.plots, self.features, self.subsets]
        folders += [path for path in self.classifiers.glob("*") if path.is_dir()]
        return [path for folder in folders for path in sweep(folder, None)]


@dataclass(frozen=True)
class TeacherFiles:
    """Where a frozen teacher lies.

    Attributes:
        path: a folder with a backbone, or a saved Keras model.
        pretrained_here: whether it is a phase of this run.
    """

    path: Path
    pretrained_here: bool

    @property
    def has_backbone(self) -> bool:
        """Whether it is one of our backbones, and not a saved Keras model."""
        return has_backbone(self.path)

    def fingerprint(self) -> str | None:
        """Identity of its files; None while they are not there."""
        files = [self.path / name for name in BACKBONE_FILES]
        if all(file.exists() for file in files):
            return "-".join(fingerprint(file) for file in files)
        return fingerprint(self.path) if self.path.exists() and not self.pretrained_here else None


def teacher_files(workdir: str | os.PathLike, teacher: str) -> TeacherFiles:
    """Where the teacher of a run lies.

    Args:
        workdir: the run's.
        teacher: ``--teacher``: an architecture, an earlier run's workdir, a folder with a backbone, or a saved model.
    """
    if teacher in TEACHERS:
        return TeacherFiles(Workdir(Path(workdir)).teacher.path, pretrained_here=True)
    earlier = Workdir(Path(teacher)).teacher
    return TeacherFiles(earlier.path if earlier.has_backbone else Path(teacher), pretrained_here=False)


def has_backbone(folder: Path) -> bool:
    """Whether a folder holds a backbone (`models.save_backbone`)."""
    return (folder / SPEC_FILE).exists()
