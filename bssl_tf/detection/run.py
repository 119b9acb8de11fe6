"""Trains a detector, scores it and exports it: what `bssl-detect` does, and `bssl_tf.detection.train_detector`."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bssl_tf.config.data import DataSettings
from bssl_tf.config.detection import RANDOM, DetectionConfig, DetectionRunSettings
from bssl_tf.config.saved import result_settings
from bssl_tf.console import console
from bssl_tf.errors import ConfigError
from bssl_tf.files import check_folder_writable, fingerprint
from bssl_tf.locks import alone, lock_beside, lock_in
from bssl_tf.native_logs import import_tensorflow, start_xla
from bssl_tf.runs import BACKBONE_FILES, PhaseFolder, Workdir
from bssl_tf.training.phases import Phase, PhaseKind

import_tensorflow()

import tensorflow as tf  # noqa: E402

from bssl_tf.data import readable_data_errors, steps_per_epoch  # noqa: E402
from bssl_tf.deploy import deployment_plan  # noqa: E402
from bssl_tf.deploy.parity import FEWEST_CONCLUSIVE  # noqa: E402
from bssl_tf.detection.annotations import AnnotatedImages  # noqa: E402
from bssl_tf.detection.backbones import backbone_folder, starting_backbone, starting_spec  # noqa: E402
from bssl_tf.detection.batches import evaluation_batches, training_batches  # noqa: E402
from bssl_tf.detection.export import MORE_IMAGES  # noqa: E402
from bssl_tf.detection.method import Detection  # noqa: E402
from bssl_tf.detection.model import DetectorSpec, build_detector, save_detector  # noqa: E402
from bssl_tf.detection.results import WRITTEN, check_classes, scored  # noqa: E402
from bssl_tf.detection.scores import require_library  # noqa: E402
from bssl_tf.detection.sources import load_annotated  # noqa: E402
from bssl_tf.evaluation.protocols.classifier_training import learning_rate_multipliers  # noqa: E402
from bssl_tf.training.loop import train_phase  # noqa: E402
from bssl_tf.training.memory import bytes_in_training, disk_of_phase, warn_of_disk  # noqa: E402
from bssl_tf.training.multi_worker.strategy import Distribution, on_this_machine  # noqa: E402
from bssl_tf.training.optimizers import build_optimizer, warmup_cosine  # noqa: E402
from bssl_tf.training.phase_images import check_images, note_images  # noqa: E402
from bssl_tf.training.precision import precision_policy  # noqa: E402
from bssl_tf.training.run_report import report_done_before, report_phase  # noqa: E402
from bssl_tf.training.training_data import TrainingData  # noqa: E402

_LARGEST_OWN_SIZE, _PHOTO_SIZE = 320, 320
_PROBE_IMAGES = 16  # few: all maps of the detector are in memory at once


def train_detector(config: DetectionConfig, command: Sequence[str] = ()) -> dict[str, Any]:
    """Train, score and export a detector, as far as it is not done; the same call goes on where it stopped.

    Args:
        config: all settings.
        command: the command line to name in the report.

    Returns:
        What scores.json holds: scores of the Keras detector and of the file, and how they came about.

    Raises:
        ConfigError: a setting cannot work, or settings or images are others than the detector was started with.
        UserError: data, backbone or file stand in the way; `pycocotools` is missing.
        Interrupted: by Ctrl-C or SIGTERM; all is saved.
        FloatingPointError: the loss is no longer finite.
    """
    config.validate()
    if Workdir(Path(config.run.workdir)).owns(config.run.detector_name):
        raise ConfigError(
            f"--detector_name={config.run.detector_name} is a name that the run itself uses in --workdir: give another "
            "one."
        )
    require_library()
    folder = backbone_folder(config.detector, config.run.workdir)
    run = config.for_dry_run().run if config.run.dry_run else config.run
    with _alone_in(run):
        start_xla()
        distribution = on_this_machine(config.training.distribution)
        distribution.check_batch(config.training.batch_size, "--batch_size")
        if config.run.dry_run:
            config = config.for_dry_run(distribution.replicas)
        phase = _phase(config, folder)
        phase.check_settings()
        test = _opened(config, "test")
        if config.run.export and test.source.num_examples < FEWEST_CONCLUSIVE:
            raise ConfigError(
                f"{test.source.num_examples} test images are too few to prove that the file is right; it takes "
                f"{FEWEST_CONCLUSIVE} at least. Give more ({MORE_IMAGES})."
            )
        if phase.done:
            report_done_before(console, phase)
        else:
            train = _opened(config, "train")
            check_images(phase.folder, train.source, phase.new_place)
            with precision_policy(config.training.precision), distribution.scope():
                _train(config, phase, folder, train, test, distribution)
            report_phase(console, phase)
        with precision_policy("float32"):
            return scored(phase.folder.path, config.run, test, command)


@contextmanager
def _alone_in(run: DetectionRunSettings) -> Iterator[None]:
    """One process at a time in the detector's folder, and nothing in it that a killed one has left half written.

    A dry run starts afresh.
    """
    check_folder_writable(Path(run.workdir), "--workdir")
    lock = lock_beside(run.folder) if run.dry_run else lock_in(run.folder)
    with alone(lock, f"--workdir={run.workdir} --detector_name={run.detector_name}", "name another --detector_name"):
        if run.dry_run:
            shutil.rmtree(run.folder, ignore_errors=True)
        else:
            PhaseFolder(run.folder).sweep(WRITTEN)
        yield


def _phase(config: DetectionConfig, folder: Path) -> Phase:
    settings = result_settings(config.data, config.detector, config.augmentation, config.training, config.run)
    settings["backbone"] = RANDOM if config.detector.backbone == RANDOM else "pretrained"
    del settings["random_like"]
    kind, _, rest = config.data.dataset.partition(":")
    if kind == "coco":
        settings["annotations_fingerprint"] = _fingerprint_of_annotations(rest)
    if kind != "coco" or config.training.test_dataset:
        settings["holdout"] = 0.0  # all images are learned from
    files = BACKBONE_FILES[:1] if settings["backbone"] == RANDOM else BACKBONE_FILES
    settings["backbone_fingerprint"] = "-".join(fingerprint(folder / name) for name in files)
    return Phase(PhaseKind.DETECTOR, PhaseFolder(config.run.folder), settings)


def _fingerprint_of_annotations(text: str) -> str:
    """Boxes are corrected all the time; half a training on others would be neither."""
    file = Path(text.rpartition(",")[0]).expanduser()
    return fingerprint(file) if file.is_file() else ""  # what is wrong then is said when it is read


def _opened(config: DetectionConfig, split: str) -> AnnotatedImages:
    images = load_annotated(config.data, split, config.training.test_dataset, Path(config.run.workdir))
    console.print(f"{split} images: {images.annotations.report.text()}", markup=False)
    return images


def image_of(settings: DataSettings, images: AnnotatedImages) -> tuple[int, int]:
    """Image size and channels: as the settings say, else as the data have them; photos are seen at 320 pixels."""
    height, width, channels = images.source.image_shape
    own_size = height if height is not None and height == width and height <= _LARGEST_OWN_SIZE else _PHOTO_SIZE
    return settings.image_size or own_size, settings.channels or channels


def _train(
    config: DetectionConfig,
    phase: Phase,
    folder: Path,
    train: AnnotatedImages,
    test: AnnotatedImages,
    distribution: Distribution,
) -> None:
    check_classes(train.annotations.class_names, test.annotations.class_names)
    training, seed = config.training, config.run.seed
    image_size, channels = image_of(config.data, train)
    steps = steps_per_epoch(train.source, training.batch_size)
    tf.keras.utils.set_random_seed(seed)
    is_random = config.detector.backbone == RANDOM
    backbone_spec = starting_spec(folder, image_size, channels, is_random)
    backbone = starting_backbone(folder, backbone_spec, is_random)
    tf.keras.utils.set_random_seed(seed + 1)  # neck and head start alike, whatever the backbone drew
    spec = DetectorSpec(
        backbone_spec,
        train.annotations.class_names,
        config.detector.neck_channels,
        config.detector.head_depth,
    )
    detector = build_detector(spec, backbone)
    console.print(f"detector on {folder}: strides {', '.join(map(str, detector.grid.strides))}", markup=False)
    console.print(deployment_plan(detector.model).render())
    decay = training.layerwise_lr_decay if training.finetune_layers == "layerwise" else 1.0
    method = Detection(
        detector,
        train_backbone=training.finetune_layers != "head",
        multipliers=learning_rate_multipliers(backbone, decay) if decay != 1 else None,
    )
    rate = warmup_cosine(training.learning_rate, training.epochs * steps, training.warmup_epochs * steps)
    optimizer = build_optimizer(
        training.optimizer, rate, weight_decay=training.weight_decay, momentum=training.momentum
    )
    method.compile(optimizer)
    warn_of_disk(_disk_needed(method, training.optimizer), Path(config.run.workdir), (phase.name,))
    note_images(phase.folder, train.source)
    data = _training_data(config, train, image_size, channels, steps)
    with readable_data_errors():
        summary = train_phase(
            phase,
            method,
            data,
            epochs=training.epochs,
            run=config.run.as_run_settings(),
            console=console,
            distribution=distribution,
        )
    facts = {"data": config.as_dict()["data"], "backbone": str(folder), "settings": phase.settings}
    save_detector(detector, phase.folder.path, facts)
    phase.folder.write_summary(summary)


def _disk_needed(method: Detection, optimizer: str) -> int:
    """Bytes of the detector's checkpoints and weights."""
    total = method.detector.count_params()
    trained = sum(variable.shape.num_elements() for variable in method.trainable_variables)
    return disk_of_phase(trained, total - trained, total, bytes_in_training(optimizer))


def _training_data(
    config: DetectionConfig, train: AnnotatedImages, image_size: int, channels: int, steps: int
) -> TrainingData:
    training, strategy = config.training, tf.distribute.get_strategy()

    def batches_from(step: int) -> tf.data.Dataset:
        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            batches = training_batches(
                train,
                image_size=image_size,
                channels=channels,
                augmentation=config.augmentation,
                seed=config.run.seed,
                batch_size=training.batch_size,
                epochs=training.epochs,
                start_step=step,
                replicas=context.num_replicas_in_sync,
            )
            # Of data without an end the devices need not find out, at every step, whether all have some left.
            return batches.repeat() if context.num_replicas_in_sync > 1 else batches

        return strategy.distribute_datasets_from_function(share)

    every = max(1, train.source.num_examples // _PROBE_IMAGES)
    probe = next(iter(evaluation_batches(train, image_size=image_size, channels=channels, every=every)))
    return TrainingData(batches_from, steps, training.batch_size, probe.numpy()[:_PROBE_IMAGES], knn=None)
