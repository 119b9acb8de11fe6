"""The phases of a run (teacher, stage 1, stage 2) and the settings that shape each. Does not import TensorFlow."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bssl_tf.config.chosen_method import ChosenMethod
from bssl_tf.config.data import ViewSettings
from bssl_tf.config.saved import result_settings, settings_that_differ
from bssl_tf.config.training import Config
from bssl_tf.errors import ConfigError
from bssl_tf.files import read_json, write_json
from bssl_tf.models.choices import TEACHERS
from bssl_tf.runs import PhaseFolder, TeacherFiles, Workdir, teacher_files

NEW_WORKDIR, NEW_DETECTOR = "--workdir", "--detector_name"
"""Flags that name the folder of a new run, and of a new detector."""
_FINGERPRINT = "_fingerprint"
"""Ending of a setting that stands for files."""


class SettingsChanged(ConfigError):
    """A phase exists with other settings than the current ones."""


class PhaseKind(enum.Enum):
    TEACHER = "teacher"
    STUDENT = "student"
    DETECTOR = "detector"


@dataclass(frozen=True)
class Phase:
    """One training phase of a run.

    Attributes:
        kind: whether it trains the teacher, the student, or a detector on top of one.
        folder: where it lies.
        own_settings: name → value of everything that shapes its result, besides the teacher's weights.
        stage: number of the student's stage; 0 for the teacher.
        starts_from: the phase whose networks it goes on with; None: from fresh ones.
        learns_from: the frozen teacher, where the method needs one.
    """

    kind: PhaseKind
    folder: PhaseFolder
    own_settings: dict[str, Any]
    stage: int = 0
    starts_from: PhaseFolder | None = None
    learns_from: TeacherFiles | None = None

    @property
    def name(self) -> str:
        """The folder's name: teacher, stage1, stage2, or a detector's."""
        return self.folder.path.name

    @property
    def title(self) -> str:
        """For people."""
        return f"stage {self.stage}" if self.kind is PhaseKind.STUDENT else self.kind.value

    @property
    def new_place(self) -> str:
        """Flag that names another folder, to start anew."""
        return NEW_DETECTOR if self.kind is PhaseKind.DETECTOR else NEW_WORKDIR

    @property
    def done(self) -> bool:
        return self.folder.done

    @property
    def settings(self) -> dict[str, Any]:
        """Name → value of everything that shapes the result. The teacher's weights count once they are there."""
        if self.learns_from is None:
            return self.own_settings
        return self.own_settings | {"teacher_fingerprint": self.learns_from.fingerprint()}

    def check_settings(self) -> None:
        """Refuse to go on where the phase was started with other settings.

        Raises:
            SettingsChanged: lists each setting with its saved and its new value.
        """
        path = self.folder.settings_file
        if not path.exists():
            return
        saved = read_json(path, dict, f"restore it from a copy, or use another {self.new_place}")
        different = settings_that_differ(saved, self.settings)
        if different:
            rows = "\n".join(_difference(name, old, new) for name, (old, new) in different.items())
            files = " and files" if any(name.endswith(_FINGERPRINT) for name in different) else ""
            raise SettingsChanged(
                f"{self.folder.path} was started with other settings{files}:\n{rows}\n"
                f"Give the saved values{files} to go on with that run, or another {self.new_place} to start a new one. "
                "Nothing was changed."
            )

    def save_settings(self) -> None:
        write_json(self.folder.settings_file, self.settings)


def _difference(name: str, saved: Any, now: Any) -> str:
    if name.endswith(_FINGERPRINT):
        return f"  {name.removesuffix(_FINGERPRINT)}: its files were others (fingerprint saved {saved}, now {now})"
    return f"  --{name}: saved {saved!r}, now {now!r}"


def phases(config: Config) -> tuple[Phase, ...]:
    """The phases of a configuration, in order, done or not.

    Raises:
        ConfigError: the teacher is neither an architecture nor a path, or --task cannot be done with it.
    """
    teacher, task = config.teacher.teacher, config.run.task
    is_pretrained_here, is_needed = teacher in TEACHERS, config.student_method.needs("teacher")
    if task == "teacher" and not is_pretrained_here:
        raise ConfigError(f"--task=teacher trains one of {', '.join(TEACHERS)}; --teacher={teacher} is none of them.")
    if not is_pretrained_here and not Path(teacher).exists():
        raise ConfigError(
            f"--teacher={teacher} is neither an existing path nor one of {', '.join(TEACHERS)}: name an earlier "
            "run's workdir, a saved Keras model, or an architecture to pretrain here."
        )
    found = []
    if is_pretrained_here and (task == "teacher" or (task == "all" and is_needed)):
        found.append(_teacher_phase(config))
    if task in ("all", "student"):
        own_teacher = Workdir(Path(config.run.workdir)).teacher
        if task == "student" and is_needed and is_pretrained_here and not own_teacher.done:
            raise ConfigError(
                f"--task=student needs a teacher, and {own_teacher.path} holds no finished one: "
                "run --task=teacher (or all) first, or name another run's workdir with --teacher."
            )
        found += [_stage_phase(config, number) for number in config.stage_numbers]
    return tuple(found)


def _teacher_phase(config: Config) -> Phase:
    pretraining, method = config.pretraining, config.teacher_method
    settings = result_settings(config.data, config.teacher, pretraining) | _views(config.views, method)
    del settings["teacher_pixels"]
    settings |= method.resolved()
    settings["precision"] = config.compute.precision
    if pretraining.teacher_optimizer in ("sgd", "lars"):
        settings["momentum"] = config.optimizer.momentum
    folder = Workdir(Path(config.run.workdir)).teacher
    return Phase(PhaseKind.TEACHER, folder, settings | {"seed": config.run.seed})


def _stage_phase(config: Config, number: int) -> Phase:
    workdir, method = Workdir(Path(config.run.workdir)), config.student_method
    settings = result_settings(config.data, config.student, config.optimizer, config.cache, config.compute)
    settings |= _views(config.views, method) | {"method": method.name, "seed": config.run.seed}
    settings |= method.resolved()
    previous = workdir.stage(1) if number == 2 and 1 in config.stage_numbers else None
    settings["starts_from"] = previous.path.name if previous else "scratch"
    teacher = None
    if method.needs("teacher"):
        teacher = teacher_files(config.run.workdir, config.teacher.teacher)
        if not teacher.pretrained_here:
            settings["teacher_pixels"] = config.teacher.teacher_pixels
    return Phase(PhaseKind.STUDENT, workdir.stage(number), settings, number, previous, teacher)


def _views(views: ViewSettings, method: ChosenMethod) -> dict[str, Any]:
    """Settings of the views that a method sees."""
    settings = result_settings(views)
    if method.description.multi_crop:
        return settings
    return {name: value for name, value in settings.items() if not name.startswith("local_crop")}
