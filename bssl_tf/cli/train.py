"""Trains a binary network without labels: teacher, stage 1, stage 2.

    bssl-train --recipe=digits --workdir=runs/digits

The same command goes on where it stopped. What lies in the workdir: bssl_tf/training/phases.py.
"""

import dataclasses
import functools
import os
import shutil
import tempfile
from pathlib import Path

from rich.markup import escape

from bssl_tf.config import flags as configuration
from bssl_tf.config.flags import Config
from bssl_tf.config.recipes import define_recipe_flag, expand_recipes
from bssl_tf.console import console, run_entry_point
from bssl_tf.errors import ConfigError
from bssl_tf.native_logs import import_tensorflow, start_xla
from bssl_tf.runs import Phase, phases
from bssl_tf.training.multi_worker.cluster import cluster_from
from bssl_tf.training.multi_worker.session import together


def main() -> None:
    # 1. Settings: typed, checked, compared with what the workdir already holds.
    config = configuration.config_from_flags()
    cluster = cluster_from(config.distribution, os.environ)
    chief = cluster is None or cluster.chief
    if config.run.dry_run:
        config = configuration.for_dry_run(config)
        if chief:
            shutil.rmtree(config.run.workdir, ignore_errors=True)
    wanted = phases(config)
    if chief:  # the others come once these have been compared with the chief's
        for phase in wanted:
            phase.check_settings()

    # 2. Finished before? Then say so at once.
    if all(phase.done for phase in wanted) and not config.run.preview_views and not config.run.dry_run:
        _tell_finished(config, wanted)
        return
    if chief:
        print_settings(config)

    # 3. The other machines, if any. TensorFlow is imported from here on.
    workdir = _writable(config)
    import_tensorflow()
    import tensorflow as tf

    from bssl_tf.training.checkpoints import Interrupted

    if config.compute.precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise ConfigError("--precision=mixed_float16 is for GPUs, and TensorFlow finds none: use mixed_bfloat16.")
    tf.keras.mixed_precision.set_global_policy(config.compute.precision)
    try:
        with together(config, cluster, workdir) as distribution:
            _train(config, wanted, workdir, distribution)
    except Interrupted as interruption:
        console.print(f"[bold]{interruption}[/]")
        raise SystemExit(130) from None


def _train(config: Config, wanted: list[Phase], workdir: Path, distribution: "Distribution") -> None:  # noqa: F821
    from bssl_tf.data import load_source, readable_data_errors
    from bssl_tf.training.run_data import Inputs
    from bssl_tf.training.stages import check_all, train_stage, train_teacher

    # 4. Data.
    start_xla()
    train = load_source(config.data, "train", workdir)
    test = load_source(config.data, "test", workdir)
    if distribution.chief:
        _tell_skipped_files(train, test, workdir)
    train = _kept_decoded(config, train)
    inputs = Inputs.open(config, train, test)
    console.print(
        f"data: {train.name}, {train.num_examples} training and {test.num_examples} test images, "
        f"{_classes(train)}, seen at {inputs.image_size}×{inputs.image_size}×{inputs.channels}",
        markup=False,
    )
    if config.run.preview_views:
        _preview(config, inputs)
        return
    check_all(config, wanted, inputs, distribution)

    # 5. What will be deployed, before any time is spent on it.
    if distribution.chief:
        configuration.save(config, workdir / "config.json")
        if any(phase.name.startswith("stage") for phase in wanted):
            _print_deployment_plan(config, inputs)

    # 6. The phases, each from where it stopped. The teacher's fingerprint is known only after it is trained.
    for name in [phase.name for phase in wanted]:
        phase = next(phase for phase in phases(config) if phase.name == name)
        phase.check_settings()
        with readable_data_errors(), distribution.scope():
            if phase.done:
                console.print(f"{phase.title}: done before ({phase.folder})")
                _print_warnings(phase)
            elif name == "teacher":
                train_teacher(config, phase, inputs, console, distribution)
            else:
                train_stage(config, phase, int(name[-1]), inputs, console, distribution)
        _print_summary(phase)

    # 7. Where to go from here.
    _tell_finished(config, phases(config))


def _writable(config: Config) -> Path:
    """The workdir, made now if need be: better to fail here than after the first phase."""
    workdir = Path(config.run.workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        raise ConfigError(f"--workdir={workdir} cannot be written ({error.strerror}): name another folder.") from None
    return workdir


def print_settings(config: Config) -> None:
    """Print every setting, a group a line, marking those that are not the default."""
    defaults = Config()
    for group in dataclasses.fields(config):
        if group.name == "bssl" and config.method.method != "bssl":
            continue
        values, usual = getattr(config, group.name), getattr(defaults, group.name)
        shown = [
            f"[bold]{escape(f'{name}={value}')}[/]" if value != getattr(usual, name) else f"{name}={value}"
            for name, value in dataclasses.asdict(values).items()
        ]
        console.print(f"{group.name:>12}: {' '.join(shown)}")


def _kept_decoded(config: Config, train):
    """The training images decoded in memory, if they fit; not for a picture of some of them."""
    from bssl_tf.data import keep_decoded, resolve_image

    if config.run.preview_views:
        return train
    image_size, _ = resolve_image(config.data, train)
    tell = functools.partial(console.print, markup=False)
    return keep_decoded(train, image_size=image_size, limit_mb=config.data.decoded_cache_mb, tell=tell)


def _classes(source) -> str:
    if source.class_names is None:
        return "no labels (20-NN and linear accuracy need them: every image in a class folder)"
    return f"{len(source.class_names)} classes"


def _tell_skipped_files(train, test, workdir: Path) -> None:
    """Files in a folder that are no readable images: counted and named once, here and in skipped_files.txt."""
    reports = {source.report.root: source.report for source in (train, test) if source.report is not None}
    for number, report in enumerate(reports.values()):
        console.print(report.text(), markup=False)
        report.write(workdir / ("skipped_files.txt" if number == 0 else "skipped_test_files.txt"))


def _preview(config: Config, inputs) -> None:
    from bssl_tf.data import write_preview

    path = Path(config.run.workdir) / "views.png"
    write_preview(
        path,
        inputs.train,
        image_size=inputs.image_size,
        channels=inputs.channels,
        views=config.views,
        seed=config.run.seed,
    )
    console.print(f"what the networks will see: {path}")


def _print_deployment_plan(config: Config, inputs) -> None:
    from bssl_tf.deploy import deployment_plan
    from bssl_tf.models import build_backbone
    from bssl_tf.training.run_data import student_spec

    console.print("[bold]what will be deployed[/]")
    console.print(deployment_plan(build_backbone(student_spec(config, inputs, "binary"))).render())


def _print_summary(phase: Phase) -> None:
    summary = phase.summary
    final = " · ".join(f"{name} {value:.4g}" for name, value in summary["final"].items() if name != "learning_rate")
    console.print(
        f"{phase.title}: {summary['epochs']} epochs, {summary['steps']} steps in {summary['seconds']:.0f} s "
        f"({summary['images_per_second']:.0f} images/s); {final}"
    )


def _print_warnings(phase: Phase) -> None:
    for warning in phase.summary["warnings"]:
        console.print(f"[bold yellow]warning[/] ({phase.title}): {warning}")


def _tell_finished(config: Config, wanted: list[Phase]) -> None:
    workdir = config.run.workdir
    console.print(f"[bold green]done[/]: {', '.join(phase.title for phase in wanted)} in {workdir}")
    if any(phase.name == "stage2" for phase in wanted):
        console.print(f"next: python convert.py --workdir={workdir} --output={workdir}/model.tflite")
        console.print(f"      python evaluate.py --workdir={workdir}")


def run() -> None:
    """Console script ``bssl-train``."""
    configuration.define_flags(*(group.type for group in dataclasses.fields(Config)))
    define_recipe_flag()
    run_entry_point(main, __doc__, expand_recipes)


if __name__ == "__main__":
    run()
