"""What a run prints before, between and after its phases."""

from rich.console import Console

from bssl_tf.config.data import ViewSettings
from bssl_tf.config.networks import StudentSettings
from bssl_tf.data import Source
from bssl_tf.data.augmentation.views import can_blur
from bssl_tf.models import BINARY, build_backbone
from bssl_tf.runs import Workdir
from bssl_tf.training.phases import Phase
from bssl_tf.training.run_data import RunData, student_spec


def report_skipped_files(console: Console, train: Source, test: Source, workdir: Workdir) -> None:
    """Files in a folder that are no readable images: counted and named once, printed and in a file."""
    reports = {source.report.root: source.report for source in (train, test) if source.report is not None}
    for number, report in enumerate(reports.values()):
        console.print(report.text(), markup=False)
        report.write(workdir.skipped_files(test=number > 0))


def report_data(console: Console, data: RunData, requested_images: int) -> None:
    """One line: which images the run learns from.

    Args:
        console: where to.
        data: the images.
        requested_images: training images without a dry run, which takes some of them.
    """
    of = f" of {requested_images}" if requested_images != data.train.num_examples else ""
    labels = "no labels (20-NN and linear accuracy need them: every image in a class folder)"
    if data.train.class_names is not None:
        labels = f"{len(data.train.class_names)} classes"
    console.print(
        f"data: {data.train.name}, {data.train.num_examples}{of} training and {data.test.num_examples} test images, "
        f"{labels}, seen at {data.image_size}×{data.image_size}×{data.channels}",
        markup=False,
    )


def report_idle_blur(console: Console, views: ViewSettings, image_size: int) -> None:
    """One line where blur was asked for, but the images are too small for it."""
    is_asked_for = views.blur_probability not in (0.0, ViewSettings().blur_probability)
    if is_asked_for and not can_blur(views, image_size):
        console.print(
            f"[bold yellow]warning[/]: --blur_probability={views.blur_probability} does nothing with --blur_sigma="
            f"{views.blur_sigma} at {image_size} pixels: no blur would be visible. Raise --blur_sigma."
        )


def report_deployment_plan(console: Console, data: RunData, student: StudentSettings) -> None:
    """What the trained student will be on the device."""
    from bssl_tf.deploy import deployment_plan  # not where all phases are done

    console.print("[bold]what will be deployed[/]")
    console.print(deployment_plan(build_backbone(student_spec(data, student, BINARY))).render())


def report_phase(console: Console, phase: Phase) -> None:
    """One line on a finished phase: epochs, steps, speed, final metrics."""
    summary = phase.folder.summary
    final = " · ".join(f"{name} {value:.4g}" for name, value in summary["final"].items() if name != "learning_rate")
    console.print(
        f"{phase.title}: {summary['epochs']} epochs, {summary['steps']} steps in {summary['seconds']:.0f} s "
        f"({summary['images_per_second']:.0f} images/s); {final}"
    )


def report_done_before(console: Console, phase: Phase) -> None:
    console.print(f"{phase.title}: done before ({phase.folder.path})")
    for warning in phase.folder.summary["warnings"]:
        console.print(f"[bold yellow]warning[/] ({phase.title}): {warning}")
