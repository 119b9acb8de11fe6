"""The callback that writes and shows what happens: metrics files, TensorBoard, curves, progress, warnings."""

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from rich.console import Console

from bssl_tf.progress import TrainingProgress
from bssl_tf.runs import PhaseFolder
from bssl_tf.training.monitoring.curves import write_curves
from bssl_tf.training.monitoring.health import BinaryLayerProbe, HealthMonitor
from bssl_tf.training.monitoring.metrics_log import MetricsTable

SHOWN = ("loss", "kl", "matching", "similarity", "balance")
SECONDS_BETWEEN_CURVES = 60.0


class Reporter(tf.keras.callbacks.Callback):
    """Averages the losses over `log_every` steps and reports them; looks deeper at the end of epochs.

    Args:
        folder: the phase's folder; gets metrics.csv, epochs.csv, tensorboard/ and curves.png.
        title: the phase, for people.
        start_step: step the run goes on from.
        total_steps: steps of the phase.
        steps_per_epoch: steps of an epoch.
        log_every: steps averaged in a row of metrics.csv.
        probe: looks into the binary layers at the end of every epoch.
        health: judges the metrics.
        knn: gives the online 20-NN accuracy, or None where there are no labels.
        knn_every: epochs between two calls of `knn`; the last epoch always has one. 0: never.
        progress: the bar to advance.
        console: where warnings go.
    """

    def __init__(
        self,
        folder: PhaseFolder,
        title: str,
        *,
        start_step: int,
        total_steps: int,
        steps_per_epoch: int,
        log_every: int,
        probe: BinaryLayerProbe,
        health: HealthMonitor,
        knn: Callable[[], float] | None,
        knn_every: int,
        progress: TrainingProgress,
        console: Console,
    ):
        super().__init__()
        self._supports_tf_logs = True  # Keras need not fetch the metrics at every step
        self.health = health
        self._folder, self._title, self._console, self._progress = folder, title, console, progress
        self._step, self._total, self._steps_per_epoch = start_step, total_steps, steps_per_epoch
        self._log_every, self._knn, self._knn_every, self._probe = log_every, knn, knn_every, probe
        writer = tf.summary.create_file_writer(str(folder.tensorboard))
        self.steps = MetricsTable(folder.step_metrics, writer, start_step)
        self.epochs = MetricsTable(folder.epoch_metrics, writer, start_step)
        self._curves_written = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step += 1
        if self._step % self._log_every == 0 or self._step % self._steps_per_epoch == 0:
            values = {name: float(value) for name, value in (logs or {}).items()}
            self.steps.append(self._step, values | {"learning_rate": self._learning_rate()})
            self._progress.show({name: values[name] for name in SHOWN if name in values})
            self._warn(values)
            self.model.reset_metrics()
        self._progress.advance(self._step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._step % self._steps_per_epoch:
            return
        values = self._probe.report()
        self._warn(values | {"progress": self._step / self._total})
        done = self._step // self._steps_per_epoch
        if self._knn and self._knn_every and (done % self._knn_every == 0 or self._step == self._total):
            values["knn"] = self._knn()
            self._progress.show({"20-NN": values["knn"]})
        if values:
            self.epochs.append(self._step, values)
        if time.monotonic() - self._curves_written > SECONDS_BETWEEN_CURVES:
            self.write_curves()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.write_curves()

    def write_curves(self) -> None:
        write_curves(self._folder.curves, self._title, self.steps.rows + self.epochs.rows)
        self._curves_written = time.monotonic()

    def _warn(self, values: dict[str, float]) -> None:
        for warning in self.health.judge(self._step, values):
            self._console.print(f"[bold yellow]warning[/] ({self._title}, step {self._step}): {warning}")

    def _learning_rate(self) -> float:
        return float(self.model.optimizer.learning_rate.numpy())
