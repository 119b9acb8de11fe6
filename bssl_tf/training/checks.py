"""What is found out before the first phase, not after hours: that later phases work with these images and settings."""

from collections.abc import Collection

import tensorflow as tf

from bssl_tf.config.chosen_method import ChosenMethod
from bssl_tf.config.data import ViewSettings
from bssl_tf.config.learning import OptimizerSettings
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.config.training import Config
from bssl_tf.data import steps_per_epoch
from bssl_tf.data.augmentation.views import local_crops
from bssl_tf.errors import ConfigError
from bssl_tf.models import BackboneSpec, at_size, build_backbone
from bssl_tf.training.memory import check_memory, planned_networks
from bssl_tf.training.multi_worker.strategy import Distribution
from bssl_tf.training.run_data import ImageForm, RunData, student_spec, teacher_spec
from bssl_tf.training.stages import STAGE_MODES, FrozenTeacher


def check_requested(
    config: Config, image_size: int, images: int, distribution: Distribution, still_open: Collection[str]
) -> None:
    """What a dry run, on few images and in small batches, would not find out; with all images it is as good.

    Args:
        config: the settings as requested.
        image_size: that the networks see.
        images: number of training images as requested.
        distribution: the devices.
        still_open: names of the phases that are not done, as requested.

    Raises:
        ConfigError: the run would not fit into the memory, has fewer images than a batch, or a batch that its devices
            cannot share out evenly.
    """
    networks = planned_networks(config, still_open)
    on_gpus = bool(tf.config.list_physical_devices("GPU"))
    check_memory(networks, image_size, config.compute.precision, distribution.replicas, on_gpus=on_gpus)
    batches = [network.batch_flag for network in networks if network.phases]
    too_large = [flag for flag in batches if int(flag.partition("=")[2]) > images]
    if too_large:
        parts = distribution.replicas * config.optimizer.micro_batches
        largest = images // parts * parts
        smaller = " ".join(f"{flag.partition('=')[0]}={largest}" for flag in too_large)
        remedy = f"Give {smaller}, or less, or more images." if largest >= max(2, parts) else "Give more images."
        raise ConfigError(
            f"{' and '.join(too_large)}: --dataset={config.data.dataset} has only {images} "
            f"image{'s' if images != 1 else ''} to train on. {remedy}"
        )
    for batch in batches:
        flag, _, size = batch.partition("=")
        distribution.check_batch(int(size), flag, config.optimizer.micro_batches if flag == "--batch_size" else 1)


def check_same_data(dataset: str, data: RunData, distribution: Distribution) -> None:
    """Raises:
    UserError: another worker sees other images.
    """
    distribution.check_same(
        (data.train.num_examples, data.image_size, data.channels, data.mean),
        lambda who: f"--dataset={dataset} has other images on {who} than on worker 0: copy one to the other.",
    )


def check_teacher_phase(
    data: RunData,
    teacher: TeacherSettings,
    method: ChosenMethod,
    optimizer: OptimizerSettings,
    distribution: Distribution,
) -> None:
    """Raises:
    UserError: the teacher cannot be trained; names the flag and the remedy.
    """
    steps_per_epoch(data.train, optimizer.batch_size, "--teacher_batch_size")
    distribution.check_batch(optimizer.batch_size, "--teacher_batch_size")
    _check_labels(method, "--teacher_method", data)
    teacher_spec(data, teacher)


def check_stage(
    number: int,
    data: RunData,
    student: StudentSettings,
    method: ChosenMethod,
    optimizer: OptimizerSettings,
    distribution: Distribution,
) -> None:
    """Raises:
    UserError: a stage of the student cannot be trained; names the flag and the remedy.
    """
    steps_per_epoch(data.train, optimizer.batch_size)
    distribution.check_batch(optimizer.batch_size, "--batch_size", optimizer.micro_batches)
    _check_labels(method, "--method", data)
    student_spec(data, student, STAGE_MODES[number])


def check_local_crops(config: Config, data: ImageForm) -> None:
    """Raises:
    ConfigError: a network that is to be trained cannot take the local crops; names the flag and a size that it can.
    """
    if config.trains_student:
        student = student_spec(data, config.student, STAGE_MODES[config.stage_numbers[-1]])
        _check_local_crops(config.views, config.student_method, f"--student={student.name}", student)
    if config.trains_teacher:
        teacher = teacher_spec(data, config.teacher)
        _check_local_crops(config.views, config.teacher_method, f"--teacher={teacher.name}", teacher)


def check_frozen_teacher(
    source: FrozenTeacher, settings: TeacherSettings, method: ChosenMethod, data: RunData, to_be_trained: bool
) -> None:
    """Load the teacher that the student needs, and see that its features have room on the disk.

    Args:
        source: the teacher.
        settings: its architecture.
        method: the student's.
        data: the run's images.
        to_be_trained: whether it is a phase of this run that is not done.

    Raises:
        UserError: it cannot be used; names the flag and the remedy.
    """
    if to_be_trained:
        model = None
    else:
        model, _ = source.load(data)
        if method.needs("teacher_head"):
            source.load_head(method.name)
    if source.features is not None:
        model = model or build_backbone(teacher_spec(data, settings))
        source.features.check_space(model.output_shape[-1])


def check_similarity_map(source: FrozenTeacher, config: Config, data: RunData, to_be_trained: bool) -> None:
    """Without a map, feature similarity compares student and teacher number by number.

    Args:
        source: the teacher.
        config: of the run.
        data: the run's images.
        to_be_trained: whether the teacher is a phase of this run that is not done.

    Raises:
        ConfigError: their features have other widths; names both.
    """
    if config.student_method.name != "bssl" or config.bssl.similarity_map != "identity":
        return
    teacher = build_backbone(teacher_spec(data, config.teacher)) if to_be_trained else source.load(data)[0]
    student = build_backbone(student_spec(data, config.student, STAGE_MODES[config.stage_numbers[0]]))
    widths = student.output_shape[-1], teacher.output_shape[-1]
    if widths[0] != widths[1]:
        raise ConfigError(
            f"--similarity_map=identity compares features of one width; the student has {widths[0]}, the teacher "
            f"{widths[1]}: use --similarity_map=linear or mlp."
        )


def _check_local_crops(views: ViewSettings, method: ChosenMethod, flag: str, spec: BackboneSpec) -> None:
    if not (views.local_crops and method.description.multi_crop):
        return
    backbone, (size, _) = build_backbone(spec), local_crops(views, spec.image_size)
    if _takes(backbone, size):
        return
    too_small, fits = size, spec.image_size
    while fits - too_small > 1:
        middle = (too_small + fits) // 2
        too_small, fits = (too_small, middle) if _takes(backbone, middle) else (middle, fits)
    meaning = "" if views.local_crop_size else f" (here {size} pixels, 3/7 of the {spec.image_size} of an image)"
    raise ConfigError(
        f"--local_crop_size={views.local_crop_size}{meaning} is too small for {flag}, which has nothing left of such "
        f"crops after its strides. Give --local_crop_size={fits}."
    )


def _takes(backbone: tf.keras.Model, image_size: int) -> bool:
    try:
        at_size(backbone, image_size)
    except ValueError:
        return False
    return True


def _check_labels(method: ChosenMethod, flag: str, data: RunData) -> None:
    if method.needs("num_classes") and data.train.labels is None:
        raise ConfigError(
            f"{flag}={method.name} learns from labels, and {data.train.name} has none: sort the images into one folder "
            "per class, or choose a method without labels."
        )
