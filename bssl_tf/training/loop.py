"""Trains one phase from wherever it stopped to its end, and writes its result."""

import time

import tensorflow as tf
from rich.console import Console

from bssl_tf.config.training import RunSettings
from bssl_tf.errors import UserError
from bssl_tf.files import appears
from bssl_tf.methods.common.base import Method
from bssl_tf.models import BackboneSpec, save_backbone, save_head
from bssl_tf.progress import TrainingProgress
from bssl_tf.training.checkpoints import PhaseCheckpoint
from bssl_tf.training.monitoring.health import BinaryLayerProbe, HealthMonitor
from bssl_tf.training.monitoring.reporter import Reporter
from bssl_tf.training.monitoring.state import MonitoringState
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, Distribution
from bssl_tf.training.phases import Phase
from bssl_tf.training.training_data import TrainingData


def train_phase(
    phase: Phase,
    method: Method,
    data: TrainingData,
    *,
    epochs: int,
    run: RunSettings,
    console: Console,
    callbacks: tuple[tf.keras.callbacks.Callback, ...] = (),
    distribution: Distribution = ONE_DEVICE,
) -> dict:
    """Train a compiled method to the end of its phase; return the summary (not yet written).

    All workers call it; only the chief shows and writes, and only its summary has content.

    Raises:
        Interrupted: stopped by Ctrl-C or SIGTERM; all is saved, the same call goes on.
        FloatingPointError: the loss is no longer finite.
    """
    probe = BinaryLayerProbe(method, data.probe_images)  # a model: its variables have to be made on all workers alike
    health = HealthMonitor()
    checkpoint = PhaseCheckpoint(
        phase.folder.checkpoints,
        method,
        run.checkpoint_minutes,
        distribution,
        steps_per_epoch=data.steps_per_epoch,
        monitoring=MonitoringState(method, probe, health) if distribution.replicas == 1 else None,
    )
    start, total = checkpoint.restore(), epochs * data.steps_per_epoch
    if not checkpoint.recalled:
        probe.look_again()
    if not distribution.chief:
        try:
            _fit(method, data, start, epochs, [*callbacks, checkpoint])
        finally:
            checkpoint.restore_handlers()
        return {}
    phase.save_settings()
    if start:
        console.print(f"{phase.title}: going on from step {start} of {total}")
    progress = TrainingProgress(
        phase.title,
        total_steps=total,
        start_step=start,
        steps_per_epoch=data.steps_per_epoch,
        batch_size=data.batch_size,
        console=console,
    )
    reporter = Reporter(
        phase.folder,
        phase.title,
        start_step=start,
        total_steps=total,
        steps_per_epoch=data.steps_per_epoch,
        log_every=run.log_every,
        probe=probe,
        health=health,
        knn=data.knn and data.knn(method.backbone),
        knn_every=run.knn_every,
        progress=progress,
        console=console,
    )
    try:
        _fit(method, data, start, epochs, [*callbacks, reporter, checkpoint])
    finally:
        progress.close()
        checkpoint.restore_handlers()
    images = total * data.batch_size
    return {
        "steps": total,
        "epochs": epochs,
        "images_per_epoch": data.steps_per_epoch * data.batch_size,
        "seconds": round(checkpoint.seconds_before.numpy().item(), 1),
        "images_per_second": round(images / checkpoint.seconds_before.numpy().item(), 1),
        "final": _last(reporter.steps.rows) | _last(reporter.epochs.rows),
        "warnings": reporter.health.warnings,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def finish_phase(phase: Phase, method: Method, spec: BackboneSpec, summary: dict, distribution: Distribution) -> None:
    """Write the result of a phase, and last the mark that it is done; the other workers wait until they see it.

    Raises:
        UserError: a worker does not see what the chief has written.
    """
    if distribution.chief:
        save_backbone(method.backbone, spec, phase.folder.path)
        if method.head is not None:
            save_head(method.head, phase.folder.path)
        phase.folder.write_summary(summary)
    distribution.wait_for_all()
    if not appears(phase.folder.summary_file):
        raise UserError(f"{phase.folder.path} does not show what worker 0 has written there: is the disk still shared?")


def _fit(method: Method, data: TrainingData, start: int, epochs: int, callbacks: list) -> None:
    """Keras counts whole epochs: finish the one that was interrupted, then do the rest."""
    epoch, done = divmod(start, data.steps_per_epoch)
    if done:
        method.fit(
            data.views_from(start),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=data.steps_per_epoch - done,
            callbacks=callbacks,
            verbose=0,
        )
        epoch += 1
    if epoch < epochs:
        method.fit(
            data.views_from(epoch * data.steps_per_epoch),
            initial_epoch=epoch,
            epochs=epochs,
            steps_per_epoch=data.steps_per_epoch,
            callbacks=callbacks,
            verbose=0,
        )


def _last(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: value for row in rows for name, value in row.items() if name != "step"}
