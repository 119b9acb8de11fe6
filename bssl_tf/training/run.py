"""Trains a run: its phases in order, each from where it stopped. `train.py` and `bssl_tf.train` are this function."""

import os
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bssl_tf.config import saved
from bssl_tf.config.training import Config, for_dry_run
from bssl_tf.config.validation import validate
from bssl_tf.config.without_effect import without_effect
from bssl_tf.console import console, print_warning, program
from bssl_tf.errors import UserError
from bssl_tf.native_logs import import_tensorflow, start_xla
from bssl_tf.runs import Workdir, teacher_files
from bssl_tf.training.multi_worker.cluster import Cluster, cluster_from
from bssl_tf.training.multi_worker.session import together
from bssl_tf.training.phases import Phase, PhaseKind, phases
from bssl_tf.training.precision import precision_policy
from bssl_tf.training.workdir import alone_in_workdir

if TYPE_CHECKING:
    from bssl_tf.training.multi_worker.strategy import Distribution
    from bssl_tf.training.run_data import RunData
    from bssl_tf.training.stages import FrozenTeacher


def train(config: Config, on_start: Callable[[Config], None] | None = None) -> dict[str, dict[str, Any]]:
    """Train the phases of a configuration that are not done yet; the same call goes on where it stopped.

    Progress goes to the console, results to ``config.run.workdir`` (`bssl_tf.runs` says what it holds). On several
    machines, all of them call it with the same configuration but for ``worker_index``. In another thread than
    the main one it handles no signals: Ctrl-C and SIGTERM do not end it in order.

    Args:
        config: all settings.
        on_start: called with the settings of the run (those of the small one with ``dry_run``) once they are checked,
            and if there is something to do.

    Returns:
        Phase ("teacher", "stage1", "stage2") → its summary: steps, seconds, images a second, final metrics, warnings.
        Empty with ``preview_views``.

    Raises:
        ConfigError: a setting cannot work, or is another one than the phase in the workdir was started with.
        UserError: the images or another worker stand in the way.
        Interrupted: by Ctrl-C or SIGTERM; all is saved.
        FloatingPointError: the loss is no longer finite.
    """
    validate(config)
    cluster = cluster_from(config.distribution, os.environ)
    chief = cluster is None or cluster.chief
    requested = config
    if config.run.dry_run:
        phases(requested)  # names the requested settings if they cannot be done
        config = for_dry_run(config)
    workdir = Workdir(Path(config.run.workdir))
    if not config.run.dry_run and not config.run.preview_views:
        planned = _planned(config, chief)
        if all(phase.done for phase in planned):
            if chief:
                _restore_config(config, workdir)
            _report_finished(workdir, planned)
            return _summaries(planned)
    with alone_in_workdir(workdir, config.run) if chief else nullcontext():
        planned = _planned(config, chief)
        if chief:
            if on_start is not None:
                on_start(config)
            if idle := without_effect(requested):
                reasons = ", ".join(f"--{name} ({why})" for name, why in idle.items())
                print_warning(f"without effect in this run: {reasons}.")
        return _train(config, requested, planned, workdir, cluster)


def _restore_config(config: Config, workdir: Workdir) -> None:
    """Write the configuration of a finished run anew if it is lost or damaged."""
    try:
        saved.load(workdir.config_file)
    except UserError:
        was = "damaged" if workdir.config_file.exists() else "missing"
        with alone_in_workdir(workdir, config.run):
            saved.save(config, workdir.config_file)
        print_warning(f"{workdir.config_file} was {was}: written anew, with the settings of this command.")


def _train(
    config: Config, requested: Config, planned: tuple[Phase, ...], workdir: Workdir, cluster: Cluster | None
) -> dict[str, dict[str, Any]]:
    import_tensorflow()
    with precision_policy(config.compute.precision):
        shared = _shared_settings(config, cluster) if cluster else {}
        with together(config.distribution, cluster, workdir.path, shared) as distribution:
            if config.run.dry_run:  # now that it is known how many devices share a batch
                config = for_dry_run(requested, distribution.replicas)
                planned = phases(config)
            _train_phases(config, requested, planned, workdir, distribution)
    return {} if config.run.preview_views else _summaries(planned)


def _planned(config: Config, chief: bool) -> tuple[Phase, ...]:
    """The phases; the other workers come once their settings have been compared with the chief's."""
    planned = phases(config)
    for phase in planned if chief else ():
        phase.check_settings()
    return planned


def _train_phases(
    config: Config, requested: Config, planned: tuple[Phase, ...], workdir: Workdir, distribution: "Distribution"
) -> None:
    """Train phases.

    Args:
        config: of the run.
        requested: the same, but for a dry run: the settings that it tries out on few images.
        planned: the phases.
        workdir: the run's.
        distribution: the devices.
    """
    from bssl_tf.data import readable_data_errors
    from bssl_tf.training.checks import check_requested
    from bssl_tf.training.memory import disk_needed, planned_networks, warn_of_disk
    from bssl_tf.training.phase_images import check_images, note_images
    from bssl_tf.training.run_report import report_deployment_plan, report_done_before, report_phase
    from bssl_tf.training.stages import Session, train_stage, train_teacher

    # 1. The images, and whether the phases can work with them.
    data, images = _open_data(config, requested, workdir, distribution)
    if config.run.preview_views:
        _preview(config, data, workdir, planned)
        return
    check_requested(requested, data.image_size, images, distribution, _still_open(phases(requested)))
    teacher = frozen_teacher(config, data)
    _check(config, planned, data, teacher, distribution)

    if distribution.chief and (still_open := _still_open(planned)):
        warn_of_disk(disk_needed(planned_networks(config, still_open)), workdir.path, still_open)

    # 2. What will be deployed, before any time is spent on it.
    if distribution.chief:
        for phase in planned:
            check_images(phase.folder, data.train)
        saved.save(config, workdir.config_file)
        if any(phase.kind is PhaseKind.STUDENT for phase in planned):
            report_deployment_plan(console, data, config.student)

    # 3. The phases.
    cached_mb = config.data.decoded_cache_mb
    session = Session(data, config.views, config.run, config.compute.augment_on, cached_mb, console, distribution)
    for phase in planned:
        phase.check_settings()  # again: the teacher may have been trained only now
        with readable_data_errors(), distribution.scope():
            if distribution.chief and not phase.done:
                note_images(phase.folder, data.train)
            if phase.done:
                report_done_before(console, phase)
            elif phase.kind is PhaseKind.TEACHER:
                optimizer = config.pretraining.optimizer_settings(config.optimizer.momentum)
                train_teacher(session, phase, config.teacher, config.teacher_method, optimizer)
            else:
                train_stage(
                    session,
                    phase,
                    config.student,
                    config.student_method,
                    config.optimizer,
                    teacher=teacher,
                    view_cycle=config.cache.view_cycle,
                )
        report_phase(console, phase)
    _report_finished(workdir, planned)


def _still_open(planned: tuple[Phase, ...]) -> list[str]:
    """Names of the phases that are not done."""
    return [phase.name for phase in planned if not phase.done]


def _open_data(
    config: Config, requested: Config, workdir: Workdir, distribution: "Distribution"
) -> tuple["RunData", int]:
    """The images, and how many of them train as requested, of which a dry run takes a part."""
    from bssl_tf.data import check_is_outside, keep_decoded, load_source, resolve_image
    from bssl_tf.training.run_data import RunData
    from bssl_tf.training.run_report import report_data, report_idle_blur, report_skipped_files

    check_is_outside(requested.data, Path(requested.run.workdir), "--workdir")
    start_xla()
    train_images = load_source(config.data, "train", workdir.path)
    test_images = load_source(config.data, "test", workdir.path)
    if distribution.chief:
        report_skipped_files(console, train_images, test_images, workdir)
    if not config.run.preview_views:  # a picture of some of the images does not need all of them decoded
        train_images = keep_decoded(
            train_images,
            image_size=resolve_image(config.data, train_images)[0],
            limit_mb=config.data.decoded_cache_mb,
            log=lambda line: console.print(line, markup=False),
        )
    data = RunData.open(config.data, train_images, test_images)
    requested_images = data.train.num_examples
    if config.run.dry_run:
        requested_images = load_source(requested.data, "train", workdir.path).num_examples
    report_data(console, data, requested_images)
    report_idle_blur(console, config.views, data.image_size)
    return data, requested_images


def frozen_teacher(config: Config, data: "RunData") -> "FrozenTeacher | None":
    """The teacher of the student's method, and where its features are kept; None if the method needs none."""
    from bssl_tf.training.stages import FrozenTeacher
    from bssl_tf.training.teacher_features import TeacherFeatures, caches_folder

    if not config.student_method.needs("teacher"):
        return None
    files, pixels = teacher_files(config.run.workdir, config.teacher.teacher), config.teacher.teacher_pixels
    features = None
    if config.cache.view_cycle and config.cache.feature_cache:
        features = TeacherFeatures(
            files,
            data,
            config.views,
            seed=config.run.seed,
            cycles=min(config.cache.view_cycle, config.optimizer.epochs),
            precision=config.compute.precision,
            teacher_pixels=pixels,
            parent=caches_folder(config.cache.feature_cache_dir, files, Path(config.run.workdir)),
        )
    return FrozenTeacher(files, pixels, config.teacher.trust_teacher, features)


def _check(
    config: Config,
    planned: tuple[Phase, ...],
    data: "RunData",
    teacher: "FrozenTeacher | None",
    distribution: "Distribution",
) -> None:
    """Find out now, not after hours, that a later phase cannot work with these images and settings."""
    from bssl_tf.training import checks

    checks.check_same_data(config.data.dataset, data, distribution)
    to_be_trained = any(phase.kind is PhaseKind.TEACHER and not phase.done for phase in planned)
    if to_be_trained:
        optimizer = config.pretraining.optimizer_settings(config.optimizer.momentum)
        checks.check_teacher_phase(data, config.teacher, config.teacher_method, optimizer, distribution)
    if teacher is not None:
        checks.check_frozen_teacher(teacher, config.teacher, config.student_method, data, to_be_trained)
        checks.check_similarity_map(teacher, config, data, to_be_trained)
    for phase in planned:
        if phase.kind is PhaseKind.STUDENT:
            checks.check_stage(phase.stage, data, config.student, config.student_method, config.optimizer, distribution)
    checks.check_local_crops(config, data)


def _shared_settings(config: Config, cluster: Cluster) -> dict[str, Any]:
    """Name → value of all that has to be the same on all workers."""
    settings = saved.result_settings(*(getattr(config, field.name) for field in fields(config)))
    settings |= {"workers": ",".join(cluster.addresses), "task": config.run.task, "dry_run": config.run.dry_run}
    return settings | asdict(config.cache) | asdict(config.compute)


def _preview(config: Config, data: "RunData", workdir: Workdir, planned: tuple[Phase, ...]) -> None:
    """The views of the first epochs of the student, or of the teacher where only that is trained."""
    from bssl_tf.data import write_preview
    from bssl_tf.training.training_data import view_seed

    phase = next((phase for phase in planned if phase.kind is PhaseKind.STUDENT), planned[0])
    cycle = config.cache.view_cycle if phase.kind is PhaseKind.STUDENT else 0
    write_preview(
        workdir.views_preview,
        data.train,
        image_size=data.image_size,
        channels=data.channels,
        views=config.views,
        seed=view_seed(config.run.seed, phase.stage, cycle),
        epochs=min(3, cycle or 3),
    )
    console.print(f"what the networks will see: {workdir.views_preview}")


def _report_finished(workdir: Workdir, planned: tuple[Phase, ...]) -> None:
    folder = workdir.path
    console.print(f"[bold green]done[/]: {', '.join(phase.title for phase in planned)} in {folder}")
    if any(phase.folder == workdir.stage(2) for phase in planned):
        of_run, output = shlex.quote(f"--workdir={folder}"), shlex.quote(f"--output={folder}/model.tflite")
        console.print(f"next: {program('convert')} {of_run} {output}")
        console.print(f"      {program('evaluate')} {of_run}")


def _summaries(planned: tuple[Phase, ...]) -> dict[str, dict[str, Any]]:
    return {phase.name: phase.folder.summary for phase in planned}
