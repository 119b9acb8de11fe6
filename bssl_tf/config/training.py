"""All settings of a training run, in groups.

A setting is a dataclass field: its name is the flag's name, its type the flag's type, its help the flag's help.
`config.flags` makes flags of them, `config.validation` checks them, `config.saved` writes and reads them.
"""

import dataclasses
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bssl_tf.config.bssl import BsslSettings
from bssl_tf.config.chosen_method import ChosenMethod, MethodGroup
from bssl_tf.config.data import DataSettings, ViewSettings
from bssl_tf.config.execution import (
    DRY_RUN,
    ComputeSettings,
    DistributionSettings,
    FeatureCacheSettings,
    RunSettings,
)
from bssl_tf.config.learning import MethodSettings, OptimizerSettings, PretrainingSettings
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.models.choices import TEACHERS

__all__ = [
    "BsslSettings",
    "ComputeSettings",
    "Config",
    "DataSettings",
    "DistributionSettings",
    "FeatureCacheSettings",
    "MethodSettings",
    "OptimizerSettings",
    "PretrainingSettings",
    "RunSettings",
    "StudentSettings",
    "TeacherSettings",
    "ViewSettings",
    "config_groups",
    "dry_run_batch",
    "for_dry_run",
]


@dataclass(frozen=True)
class Config:
    """All settings of a training run, by group; `bssl_tf.train` takes it. Flags and saved files share its names."""

    data: DataSettings = DataSettings()
    views: ViewSettings = ViewSettings()
    student: StudentSettings = StudentSettings()
    teacher: TeacherSettings = TeacherSettings()
    pretraining: PretrainingSettings = PretrainingSettings()
    method: MethodSettings = MethodSettings()
    bssl: BsslSettings = BsslSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    cache: FeatureCacheSettings = FeatureCacheSettings()
    compute: ComputeSettings = ComputeSettings()
    run: RunSettings = RunSettings()
    distribution: DistributionSettings = DistributionSettings()

    @property
    def student_method(self) -> ChosenMethod:
        """What the student learns by."""
        method = self.method
        return ChosenMethod(method.method, method.method_options, group=self.method_groups.get(method.method))

    @property
    def teacher_method(self) -> ChosenMethod:
        """What a teacher learns by that is pretrained here."""
        pretraining = self.pretraining
        return ChosenMethod(pretraining.teacher_method, pretraining.teacher_method_options, "--teacher_method_options")

    @property
    def method_groups(self) -> dict[str, MethodGroup]:
        """Method → the group of settings that are its options."""
        groups = [getattr(self, field.name) for field in fields(self)]
        return {group.METHOD: group for group in groups if hasattr(group, "METHOD")}

    @property
    def trains_student(self) -> bool:
        """Whether the run has the student's stages."""
        return self.run.task != "teacher"

    @property
    def uses_teacher(self) -> bool:
        """Whether the student's stages are part of the run and learn from a teacher."""
        return self.trains_student and self.student_method.needs("teacher")

    @property
    def trains_teacher(self) -> bool:
        """Whether a teacher is pretrained in the run, if it is not there already."""
        is_wanted = self.run.task == "teacher" or (self.run.task == "all" and self.uses_teacher)
        return is_wanted and self.teacher.teacher in TEACHERS

    @property
    def stage_numbers(self) -> tuple[int, ...]:
        """The student's stages to run, in order."""
        stages = self.method.stages if self.method.stages != "auto" else self.student_method.default_stages
        return tuple(int(stage) for stage in stages.split(","))


def config_groups() -> dict[str, type[Any]]:
    """Name → class of every group of `Config`."""
    return {field.name: type(field.default) for field in fields(Config)}


def dry_run_batch(parts: int, requested: int = 16) -> int:
    """Images in a step of a dry run that so many equal parts share: 16 or, if fewer, the requested; a multiple."""
    return -(-min(16, requested) // parts) * parts


def for_dry_run(config: Config, replicas: int = 1) -> Config:
    """The same run on a handful of images: two steps a phase, small batches, few pseudo-classes.

    Args:
        config: as requested.
        replicas: devices that share a batch; with more than a few it takes more images.
    """
    replace, workdir, teacher = dataclasses.replace, Path(config.run.workdir) / DRY_RUN, config.teacher
    if config.run.task == "student" and config.uses_teacher and teacher.teacher in TEACHERS:
        teacher = replace(teacher, teacher=config.run.workdir)  # that run's own one, which it has pretrained before
    caches = config.cache.view_cycle > 0 and config.cache.feature_cache
    micro_batches = math.gcd(config.optimizer.micro_batches, 16)
    teacher_batch = dry_run_batch(replicas, config.pretraining.teacher_batch_size)
    batch = dry_run_batch(replicas * micro_batches, config.optimizer.batch_size)
    return replace(
        config,
        data=replace(config.data, max_train_images=2 * max(teacher_batch, batch), max_test_images=32),
        teacher=teacher,
        pretraining=replace(
            config.pretraining, teacher_epochs=1, teacher_batch_size=teacher_batch, teacher_warmup_epochs=0
        ),
        bssl=config.bssl.for_dry_run(),
        optimizer=replace(config.optimizer, epochs=1, batch_size=batch, warmup_epochs=0, micro_batches=micro_batches),
        cache=replace(config.cache, feature_cache_dir=str(workdir / "features") if caches else ""),
        run=replace(config.run, workdir=str(workdir), log_every=1),
    )
