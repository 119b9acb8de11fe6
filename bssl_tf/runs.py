"""The phases of a run (teacher, stage 1, stage 2): their folders, their settings, what is done.

A workdir looks like this; every phase can be resumed, and refuses to go on with other settings:

    workdir/
        config.json         the whole configuration, as last used
        teacher/            pretraining of the float teacher
        features/           the teacher's features of views that repeat (training/feature_cache.py)
        stage1/             binary activations, float weights
        stage2/             fully binary: what is deployed
            settings.json       the settings that shaped this phase
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

This module does not import TensorFlow, so that a finished run says so at once.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bssl_tf.config.flags import Config, result_settings, settings_that_differ
from bssl_tf.config.renamed import METRICS, with_new_names
from bssl_tf.config.training import TEACHERS
from bssl_tf.errors import ConfigError
from bssl_tf.files import fingerprint, write_json
from bssl_tf.methods.registry import description

BACKBONE_FILES = ("backbone.json", "backbone.weights.h5")


class SettingsChanged(ConfigError):
    """A phase exists with other settings than those asked for now."""


@dataclass(frozen=True)
class Phase:
    """One training phase of a run.

    Attributes:
        name: "teacher", "stage1" or "stage2"; the folder's name in the workdir.
        workdir: the run's folder.
        settings: name → value of everything that shapes this phase's result.
    """

    name: str
    workdir: Path
    settings: dict[str, Any]

    @property
    def title(self) -> str:
        return {"teacher": "teacher", "stage1": "stage 1", "stage2": "stage 2"}[self.name]

    @property
    def folder(self) -> Path:
        return self.workdir / self.name

    @property
    def done(self) -> bool:
        return (self.folder / "summary.json").exists()

    @property
    def summary(self) -> dict[str, Any]:
        """What the finished phase wrote last: steps, seconds, images a second, final metrics."""
        summary = json.loads((self.folder / "summary.json").read_text())
        return summary | {"final": with_new_names(summary["final"], METRICS)}

    def check_settings(self) -> None:
        """Refuse to go on where the phase was started with other settings.

        Raises:
            SettingsChanged: lists each setting with its saved and its new value.
        """
        path = self.folder / "settings.json"
        if not path.exists():
            return
        try:
            saved = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path} is not readable ({error}): use another --workdir.") from None
        different = settings_that_differ(saved, self.settings)
        if different:
            rows = "\n".join(f"  --{name}: saved {old!r}, now {new!r}" for name, (old, new) in different.items())
            raise SettingsChanged(
                f"{self.folder} was started with other settings:\n{rows}\n"
                "Give the saved values to go on with that run, or another --workdir to start a new one. "
                "Nothing was changed."
            )

    def save_settings(self) -> None:
        write_json(self.folder / "settings.json", self.settings)


def phases(config: Config) -> list[Phase]:
    """The phases that the configuration asks for, in order, done or not.

    Raises:
        ConfigError: the teacher is neither known nor there, or --task cannot be done with it.
    """
    teacher, task = config.teacher.teacher, config.run.task
    trains_teacher = teacher in TEACHERS
    if task == "teacher" and not trains_teacher:
        raise ConfigError(f"--task=teacher trains one of {', '.join(TEACHERS)}; --teacher={teacher} is none of them.")
    if not trains_teacher and not Path(teacher).exists():
        raise ConfigError(
            f"--teacher={teacher} is neither an existing path nor one of {', '.join(TEACHERS)}: name an earlier "
            "run's workdir, a saved Keras model, or an architecture to pretrain here."
        )
    wanted, needs_teacher = [], needs(config, "teacher")
    if trains_teacher and (task == "teacher" or (task == "all" and needs_teacher)):
        wanted.append(_teacher_phase(config))
    if task in ("all", "student"):
        if task == "student" and needs_teacher and trains_teacher and not _teacher_phase(config).done:
            raise ConfigError(
                f"--task=student needs a teacher, and {Path(config.run.workdir) / 'teacher'} holds no finished one: "
                "run --task=teacher (or all) first, or name another run's workdir with --teacher."
            )
        wanted += [_stage_phase(config, number) for number in config.stage_numbers]
    return wanted


def needs(config: Config, ingredient: str) -> bool:
    """Whether the student's method asks for one of `methods.INGREDIENTS`."""
    return ingredient in description(config.method.method).needs


def teacher_path(config: Config) -> Path:
    """Where the teacher lies: a folder with a backbone, or a saved Keras model."""
    if config.teacher.teacher in TEACHERS:
        return Path(config.run.workdir) / "teacher"
    path = Path(config.teacher.teacher)
    return path / "teacher" if (path / "teacher" / BACKBONE_FILES[0]).exists() else path


def _teacher_phase(config: Config) -> Phase:
    pretraining = config.pretraining
    settings = result_settings(config.data, config.teacher, pretraining) | _views(config, pretraining.teacher_method)
    del settings["teacher_pixels"]
    settings["teacher_method_options"] = _options(pretraining.teacher_method, pretraining.teacher_method_options)
    settings["precision"] = config.compute.precision
    if pretraining.teacher_optimizer in ("sgd", "lars"):
        settings["momentum"] = config.optimizer.momentum
    return Phase("teacher", Path(config.run.workdir), settings | {"seed": config.run.seed})


def _stage_phase(config: Config, number: int) -> Phase:
    method = config.method.method
    settings = result_settings(config.data, config.student, config.optimizer, config.cache, config.compute)
    settings |= _views(config, method) | {"method": method, "seed": config.run.seed}
    settings["starts_from"] = "stage1" if number == 2 and 1 in config.stage_numbers else "scratch"
    if method == "bssl":
        settings |= result_settings(config.bssl)
        for shorthand in ("ablation", "balance"):
            del settings[shorthand]
        settings["balance_start"], settings["balance_end"] = config.bssl.balance_ends
    else:
        settings["method_options"] = _options(method, config.method.method_options)
    if needs(config, "teacher"):
        settings["teacher_fingerprint"] = _teacher_fingerprint(config)
        if config.teacher.teacher not in TEACHERS:
            settings["teacher_pixels"] = config.teacher.teacher_pixels
    return Phase(f"stage{number}", Path(config.run.workdir), settings)


def _options(method: str, text: str) -> dict[str, Any]:
    described = description(method)
    return described.options | described.parsed(text)


def _views(config: Config, method: str) -> dict[str, Any]:
    """Settings of the views that this method sees."""
    settings = result_settings(config.views)
    return (
        settings
        if description(method).multi_crop
        else {n: v for n, v in settings.items() if not n.startswith("local_crop")}
    )


def _teacher_fingerprint(config: Config) -> str | None:
    path = teacher_path(config)
    files = [path / name for name in BACKBONE_FILES]
    if all(file.exists() for file in files):
        return "-".join(fingerprint(file) for file in files)
    return fingerprint(path) if path.exists() and config.teacher.teacher not in TEACHERS else None
