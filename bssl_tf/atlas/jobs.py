"""Fine-tuning in a process of its own: with progress, to be cancelled, and gone when the atlas is gone."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bssl_tf.atlas.finetuning import FinetuneJob
from bssl_tf.errors import UserError
from bssl_tf.files import write_json

_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class JobState:
    """Attributes:
    phase: "none", "running", "done", "failed" or "cancelled".
    message: for people.
    share: how much is done, 0..1.
    result: facts of a finished job.
    """

    phase: str = "none"
    message: str = ""
    share: float = 0.0
    result: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class FinetuneRunner:
    """At most one job at a time.

    Args:
        folder: for the job's files; a job that was running when the atlas was killed shows there as failed.
    """

    def __init__(self, folder: Path):
        self._folder = Path(folder)
        self._process: subprocess.Popen | None = None
        self._cancelled = False
        self._lock = threading.Lock()

    def start(self, job: FinetuneJob, prepare: Callable[[], Any]) -> None:
        """Start a job.

        Args:
            job: what to do.
            prepare: writes what the job reads; called while no job is running.

        Raises:
            UserError: one is running.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise UserError("Fine-tuning is running already.")
            self._folder.mkdir(parents=True, exist_ok=True)
            self._state_file.unlink(missing_ok=True)
            prepare()
            write_json(self._folder / "job.json", asdict(job))
            self._cancelled = False
            with open(self._folder / "log.txt", "wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "bssl_tf.atlas.finetuning", str(self._folder), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def cancel(self) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._cancelled = True
                self._process.terminate()
                try:
                    self._process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()

    def state(self) -> JobState:
        with self._lock:
            try:
                written = JobState(**json.loads(self._state_file.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError, RecursionError):  # it is not there yet, or damaged
                written = JobState("running", "starting") if self._process is not None else JobState()
            if written.phase != "running" or (self._process is not None and self._process.poll() is None):
                return written
            if self._cancelled:
                return JobState("cancelled", "cancelled")
            return JobState("failed", self._last_line() or "it ended with the atlas", written.share)

    @property
    def _state_file(self) -> Path:
        return self._folder / "state.json"

    def _last_line(self) -> str:
        if self._process is None:
            return ""
        lines = (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else ""
