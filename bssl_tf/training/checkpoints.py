"""Checkpoints of a phase: everything needed to go on at the very next step, and nothing of the teacher."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

from bssl_tf.errors import Interrupted, UserError
from bssl_tf.methods.common.base import Method
from bssl_tf.runs import PhaseFolder
from bssl_tf.training.monitoring.state import MonitoringState
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, Distribution
from bssl_tf.training.optimizers import exempt_from_weight_decay
from bssl_tf.training.saved_checkpoints import disk_full_named, is_whole, latest_whole, steps_saved, write_sums


class PhaseCheckpoint(tf.keras.callbacks.Callback):
    """Saves networks, optimizers and step; restores them; saves once more when the process is to stop.

    That it is to stop it learns from Ctrl-C or SIGTERM, where it trains in the main thread.

    TensorFlow writes a checkpoint to temporary files and moves them into place last, so that an
    interruption at any moment leaves the one before it intact. The two latest are kept. A checkpoint does not
    depend on how many devices or workers wrote it: the run may go on with any number of them.

    The frozen teacher is not part of it: it does not change and is on disk already, and it can be many
    times larger than the student.

    Args:
        folder: of the checkpoints.
        method: the compiled method.
        minutes: time between two checkpoints.
        distribution: of several workers only the chief saves; all of them restore, and all stop where one does.
        steps_per_epoch: at the end of an epoch nothing is saved before all callbacks have seen it; 0: no epochs.
        monitoring: what has been monitored, saved too; None: nothing.

    Attributes:
        recalled: whether the checkpoint that was restored held what had been monitored.
    """

    def __init__(
        self,
        folder: Path,
        method: Method,
        minutes: float,
        distribution: Distribution = ONE_DEVICE,
        *,
        steps_per_epoch: int = 0,
        monitoring: MonitoringState | None = None,
    ):
        super().__init__()
        self._supports_tf_logs = True  # none are looked at, so that Keras need not fetch them at every step
        self._distribution = distribution
        self.seconds_before = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        for optimizer, variables in method.optimizer_groups():
            exempt_from_weight_decay(optimizer, variables)
            optimizer.build(variables)
        parts = method.networks | method.optimizers
        self._monitoring, self._steps_per_epoch, self._means_to_recall = monitoring, steps_per_epoch, False
        self.recalled = False
        self._without_monitoring = tf.train.Checkpoint(seconds=self.seconds_before, **parts)
        self._checkpoint = self._without_monitoring
        if monitoring is not None:
            self._checkpoint = tf.train.Checkpoint(seconds=self.seconds_before, monitoring=monitoring.kept, **parts)
        _ = self._checkpoint.save_counter  # made at first use: now, on all workers together, not when the chief saves
        self._folder = folder
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._variables = [variable for part in parts.values() for variable in _variables_of(part)]
        self._method, self._minutes = method, minutes
        self._stop_requested, self._stopping_signal = False, int(signal.SIGINT)  # another worker's is taken for this
        self._handlers: dict[int, Any] = {}
        self._started = self._saved = time.monotonic()
        self._saved_step: int | None = None

    def restore(self) -> int:
        """Load the latest checkpoint that is whole, if there is one; return the step to go on from.

        Raises:
            UserError: there are checkpoints, but none is whole; or the workers have found different ones.
        """
        latest = latest_whole(self._folder, repair=self._distribution.chief)
        if latest is not None:
            self._manager = tf.train.CheckpointManager(self._checkpoint, str(self._folder), max_to_keep=2)
            self._restore(latest)
        self._distribution.check_same(
            self.step,
            lambda who: (
                f"{who} does not see the same latest checkpoint as worker 0 in {self._manager.directory}: the shared "
                "disk may lag behind. Start again in a minute."
            ),
        )
        return self.step

    def _restore(self, path: str) -> None:
        if self._monitoring is None or not _holds_monitoring(path):
            self._without_monitoring.restore(path).assert_existing_objects_matched()
            return
        self._checkpoint.restore(path).assert_existing_objects_matched()
        self._monitoring.recall()
        self.recalled = self._means_to_recall = True

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return int(self._method.optimizer.iterations.numpy())

    @property
    def bytes(self) -> int:
        """Size of a checkpoint."""
        return sum(variable.dtype.size * variable.shape.num_elements() for variable in self._variables)

    def save(self) -> None:
        if not self._distribution.chief:
            return
        now = time.monotonic()
        self.seconds_before.assign_add(now - self._started)
        self._started = self._saved = now
        if self._monitoring is not None:
            self._monitoring.remember()
        with disk_full_named(self._folder, self.bytes, self.step):
            self._manager.save(self.step)
            write_sums(self._folder, self.step)
        self._saved_step = self.step

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._started = self._saved = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return  # Python lets no other thread wait for signals
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._request_stop)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._monitoring is not None and self._means_to_recall:  # Keras has just set them to zero
            self._monitoring.recall_means()
            self._means_to_recall = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not (self._steps_per_epoch and self.step % self._steps_per_epoch == 0):
            self._save_or_stop()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._steps_per_epoch:
            self._save_or_stop()

    def _save_or_stop(self) -> None:
        if self._distribution.anywhere(self._stop_requested):
            self.save()
            self.restore_handlers()
            raise self._interrupted()
        if time.monotonic() - self._saved > 60 * self._minutes:
            self.save()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.step != self._saved_step:  # its files would be replaced one after another
            self.save()
        self.restore_handlers()
        if self._distribution.anywhere(self._stop_requested):  # while the last epoch was looked at
            raise self._interrupted()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requested, self._stopping_signal = True, number

    def _interrupted(self) -> Interrupted:
        message = f"stopped at step {self.step}; the same command goes on from there"
        return Interrupted(message, 128 + self._stopping_signal, agreed=True)

    def restore_handlers(self) -> None:
        """Give the signals back, however training has ended."""
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, handler)


def _holds_monitoring(path: str) -> bool:
    return any(name.startswith("monitoring/") for name, _ in tf.train.list_variables(path))


def _variables_of(part: tf.Module | tf.Variable | tf.keras.optimizers.Optimizer) -> list[tf.Variable]:
    if isinstance(part, tf.Variable):
        return [part]
    return part.variables() if callable(part.variables) else part.variables


def restore_networks(folder: Path, method: Method) -> None:
    """Load the networks of a phase's latest checkpoint, whatever optimizers it had, into `method`.

    Raises:
        UserError: the folder holds none, or the latest one, which is the phase's result, is damaged.
    """
    phase, found = PhaseFolder(folder.parent), steps_saved(folder)
    if not found:
        raise UserError(
            f"{folder} holds no checkpoint, and the next phase starts from one: delete {phase.summary_file}, and the "
            f"same command trains {phase.path.name} again."
        )
    latest = str(folder / f"ckpt-{found[0]}")
    if not any(is_whole(folder, step) for step in found):
        raise UserError(
            f"No checkpoint in {folder} is whole, and the next phase starts from one: delete {phase.path}, and the "
            f"same command trains {phase.path.name} again."
        )
    if not is_whole(folder, found[0]):
        raise UserError(
            f"{latest} is damaged, and the next phase starts from it: delete {phase.summary_file}, and the "
            "same command trains the end of that phase again, from the checkpoint before."
        )
    status = tf.train.Checkpoint(**method.networks).restore(latest)
    status.assert_existing_objects_matched().expect_partial()


def copy_weights(source: tf.keras.Model | tf.Variable, target: tf.keras.Model | tf.Variable) -> None:
    """Give one of a method's networks (or variables) the values of another."""
    if isinstance(target, tf.Variable):
        target.assign(tf.convert_to_tensor(source))
    else:
        target.set_weights(source.get_weights())
