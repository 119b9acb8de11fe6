"""How far an atlas is before it can be looked at."""

from dataclasses import asdict, dataclass
from typing import Any

from bssl_tf.errors import UserError

READY, FAILED = "ready", "failed"


class NotReady(UserError):
    """The photos are still being looked at."""


@dataclass(frozen=True)
class Step:
    """Attributes:
    phase: what is being done, `READY` or `FAILED`.
    done: how much of it.
    total: of how much; 0 where that is unknown.
    error: a sentence, where it has failed.
    """

    phase: str = "starting"
    done: int = 0
    total: int = 0
    error: str = ""


class Progress:
    """The step that is being done; read and written by different threads."""

    def __init__(self) -> None:
        self.step = Step()

    def show(self, phase: str, done: int = 0, total: int = 0) -> None:
        self.step = Step(phase, done, total)

    def fail(self, error: Exception) -> None:
        self.step = Step(FAILED, error=str(error))

    @property
    def is_ready(self) -> bool:
        return self.step.phase == READY

    @property
    def has_failed(self) -> bool:
        return self.step.phase == FAILED

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self.step), "ready": self.is_ready}
