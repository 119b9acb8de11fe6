"""What each phase trains: SimCLR on the teacher, BSSL on the student in one or two stages."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console

from bssl_tf.balancing import CosineBalance
from bssl_tf.config import Config
from bssl_tf.data import Source, evaluation_images, pixel_statistics, resolve_image, steps_per_epoch, training_views
from bssl_tf.evaluation import extract_features, knn_accuracy
from bssl_tf.methods.bssl import Bssl
from bssl_tf.methods.simclr import SimClr
from bssl_tf.models import BINARY, BINARY_ACTIVATIONS, FLOAT, BackboneSpec, build_backbone, load_teacher
from bssl_tf.training.checkpoints import restore_networks
from bssl_tf.training.distribution import ONE_DEVICE, Distribution
from bssl_tf.training.loop import TrainingData, finish_phase, train_phase
from bssl_tf.training.optimizers import build_optimizer, warmup_cosine
from bssl_tf.training.phases import Phase, teacher_path

STAGE_MODES = {1: BINARY_ACTIVATIONS, 2: BINARY}
ONLINE_KNN_TRAIN, ONLINE_KNN_TEST, PROBE_IMAGES = 5000, 1000, 64


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The data of a run, opened once for all of its phases."""

    train: Source
    test: Source
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def open(cls, config: Config, train: Source, test: Source) -> "Inputs":
        image_size, channels = resolve_image(config.data, train)
        mean, std = pixel_statistics(train, image_size=image_size, channels=channels)
        return cls(train, test, image_size, channels, mean, std)

    def spec(self, **architecture) -> BackboneSpec:
        """A backbone for these images."""
        return BackboneSpec(
            image_size=self.image_size, channels=self.channels, mean=self.mean, std=self.std, **architecture
        )

    def images(self, source: Source, every: int = 1) -> tf.data.Dataset:
        """Batches of uint8 images in fixed order, or of each so-many-th of them."""
        return evaluation_images(source, image_size=self.image_size, channels=self.channels, every=every)


def teacher_spec(config: Config, inputs: Inputs) -> BackboneSpec:
    teacher = config.teacher
    return inputs.spec(
        name=teacher.teacher,
        width=teacher.teacher_width,
        depth=teacher.teacher_depth,
        stages=teacher.teacher_stages,
        mode=FLOAT,
    )


def student_spec(config: Config, inputs: Inputs, mode: str) -> BackboneSpec:
    student = config.student
    return inputs.spec(
        name=student.student,
        width=student.student_width,
        depth=student.student_depth,
        stages=student.student_stages,
        dense=student.student_dense,
        mode=mode,
        quantizer=student.quantizer,
    )


def check_all(config: Config, wanted: list[Phase], inputs: Inputs, distribution: Distribution) -> None:
    """Find out now, not after hours, that a later phase cannot work with these images and settings.

    Raises:
        UserError: names the flag and the remedy.
    """
    distribution.check_same(
        (inputs.train.num_examples, inputs.image_size, inputs.channels, inputs.mean),
        lambda who: (
            f"--dataset={config.data.dataset} has other images on {who} than on worker 0: copy one to the other."
        ),
    )
    if any(phase.name == "teacher" for phase in wanted):
        steps_per_epoch(inputs.train, config.simclr.teacher_batch_size, "--teacher_batch_size")
        distribution.check_batch(config.simclr.teacher_batch_size, "--teacher_batch_size")
        teacher_spec(config, inputs)
    else:
        _load_teacher(config, inputs)
    for number in (int(phase.name[-1]) for phase in wanted if phase.name != "teacher"):
        steps_per_epoch(inputs.train, config.optimizer.batch_size)
        distribution.check_batch(config.optimizer.batch_size, "--batch_size")
        student_spec(config, inputs, STAGE_MODES[number])


def train_teacher(
    config: Config, phase: Phase, inputs: Inputs, console: Console, distribution: Distribution = ONE_DEVICE
) -> None:
    """Pretrain the float teacher by SimCLR; within the scope of `distribution`."""
    simclr = config.simclr
    tf.keras.utils.set_random_seed(config.run.seed)
    spec = teacher_spec(config, inputs)
    data = _training_data(config, inputs, simclr.teacher_batch_size, simclr.teacher_epochs, stream=0)
    method = SimClr(
        build_backbone(spec), projection_size=simclr.projection_size, temperature=simclr.contrastive_temperature
    )
    steps = data.steps_per_epoch
    rate = warmup_cosine(
        simclr.teacher_learning_rate, simclr.teacher_epochs * steps, simclr.teacher_warmup_epochs * steps
    )
    method.compile(
        build_optimizer(
            simclr.teacher_optimizer,
            rate,
            weight_decay=simclr.teacher_weight_decay,
            momentum=config.optimizer.momentum,
        )
    )
    summary = train_phase(
        phase, method, data, epochs=simclr.teacher_epochs, run=config.run, console=console, distribution=distribution
    )
    finish_phase(phase, method.backbone, spec, summary, distribution)


def train_stage(
    config: Config, phase: Phase, number: int, inputs: Inputs, console: Console, distribution: Distribution = ONE_DEVICE
) -> None:
    """Train the student: stage 1 with float weights, stage 2 fully binary, from stage 1 where there is one.

    Within the scope of `distribution`.
    """
    optimizer, run = config.optimizer, config.run
    tf.keras.utils.set_random_seed(run.seed + number)
    data = _training_data(config, inputs, optimizer.batch_size, optimizer.epochs, stream=number)
    teacher = _load_teacher(config, inputs)
    spec = student_spec(config, inputs, STAGE_MODES[number])
    balance = CosineBalance(optimizer.epochs * data.steps_per_epoch, *config.method.balance_ends)
    method = _bssl(config, teacher, spec, balance)
    if phase.settings["starts_from"] == "stage1":
        _carry_over(config, teacher, dataclasses.replace(spec, mode=STAGE_MODES[1]), phase.workdir / "stage1", method)
    _compile(config, method, data.steps_per_epoch)
    summary = train_phase(
        phase,
        method,
        data,
        epochs=optimizer.epochs,
        run=run,
        console=console,
        distribution=distribution,
    )
    finish_phase(phase, method.backbone, spec, summary, distribution)


def _compile(config: Config, method: Bssl, steps_per_epoch: int) -> None:
    optimizer, multiplier = config.optimizer, config.method.target_learning_rate_multiplier

    def optimizer_at(peak: float) -> tf.keras.optimizers.Optimizer:
        rate = warmup_cosine(peak, optimizer.epochs * steps_per_epoch, optimizer.warmup_epochs * steps_per_epoch)
        return build_optimizer(
            optimizer.optimizer, rate, weight_decay=optimizer.weight_decay, momentum=optimizer.momentum
        )

    separate = config.method.train_target and multiplier != 1.0
    method.compile(
        optimizer_at(optimizer.learning_rate),
        target_optimizer=optimizer_at(optimizer.learning_rate * multiplier) if separate else None,
        micro_batches=optimizer.micro_batches,
    )


def _load_teacher(config: Config, inputs: Inputs) -> tf.keras.Model:
    teacher, _ = load_teacher(
        teacher_path(config),
        image_size=inputs.image_size,
        channels=inputs.channels,
        pixels=config.teacher.teacher_pixels,
    )
    return teacher


def _bssl(config: Config, teacher: tf.keras.Model, spec: BackboneSpec, balance=0.0) -> Bssl:
    method = config.method
    return Bssl(
        teacher,
        build_backbone(spec),
        pseudo_classes=method.pseudo_classes,
        temperature=method.temperature,
        similarity=method.similarity,
        views=method.views,
        train_target=method.train_target,
        balance=balance,
    )


def _carry_over(config: Config, teacher: tf.keras.Model, spec: BackboneSpec, folder: Path, method: Bssl) -> None:
    """Modified multi-stage training: k_φ, l_φ and g_θ (and the feature map) of stage 1 start stage 2."""
    previous = _bssl(config, teacher, spec)
    restore_networks(folder, previous)
    for name, network in method.networks.items():
        network.set_weights(previous.networks[name].get_weights())


def _training_data(config: Config, inputs: Inputs, batch_size: int, epochs: int, stream: int) -> TrainingData:
    """Views for a phase, shared out by the strategy in scope; every phase draws its own stream of them."""
    strategy = tf.distribute.get_strategy()

    def views_from(step: int) -> tf.data.Dataset:
        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            views = training_views(
                inputs.train,
                image_size=inputs.image_size,
                channels=inputs.channels,
                views=config.views,
                seed=4 * config.run.seed + stream,
                batch_size=batch_size,
                epochs=epochs,
                start_step=step,
                workers=context.num_input_pipelines,
                worker=context.input_pipeline_id,
                replicas=context.num_replicas_in_sync,
            )
            # Of data without an end the workers need not ask each other, at every step, whether all have some left.
            return views.repeat() if context.num_replicas_in_sync > 1 else views

        return strategy.distribute_datasets_from_function(share)

    probe = next(iter(inputs.images(inputs.train, every=max(1, inputs.train.num_examples // PROBE_IMAGES))))
    knn_wanted = config.run.knn_every > 0 and inputs.train.labels is not None and inputs.test.labels is not None
    return TrainingData(
        views_from=views_from,
        steps_per_epoch=steps_per_epoch(inputs.train, batch_size),
        batch_size=batch_size,
        probe_images=probe.numpy()[:PROBE_IMAGES],
        knn=_online_knn(inputs) if knn_wanted else None,
    )


class _InTraining:
    """Features of a backbone that is being trained. Keras's `predict` would ask all workers; this computes alone."""

    def __init__(self, backbone: tf.keras.Model):
        signature = [tf.TensorSpec(backbone.input_shape, tf.float32)]
        self._function = tf.function(lambda pixels: backbone(pixels, training=False), input_signature=signature)

    def features(self, images: np.ndarray) -> np.ndarray:
        return self._function(images.astype(np.float32)).numpy()


def _online_knn(inputs: Inputs) -> Callable[[tf.keras.Model], Callable[[], float]]:
    """20-NN accuracy on about 1 000 test images, neighbours among about 5 000 training images."""
    every_train = max(1, inputs.train.num_examples // ONLINE_KNN_TRAIN)
    every_test = max(1, inputs.test.num_examples // ONLINE_KNN_TEST)
    train, test = inputs.images(inputs.train, every_train).cache(), inputs.images(inputs.test, every_test).cache()
    train_labels, test_labels = inputs.train.labels[::every_train], inputs.test.labels[::every_test]

    def knn_of(backbone: tf.keras.Model) -> Callable[[], float]:
        network = _InTraining(backbone)
        return lambda: knn_accuracy(
            extract_features(network, train),
            train_labels,
            extract_features(network, test),
            test_labels,
            k=min(20, len(train_labels)),
        )

    return knn_of
