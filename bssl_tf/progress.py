"""What training shows while it runs: a live bar on a terminal, a line now and then in a log file."""

import time
from collections import deque
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 15.0


class TrainingProgress:
    """Shows epoch, images a second, time left and the latest numbers.

    Args:
        title: the phase, for instance "stage 1".
        total_steps: steps of the phase.
        start_step: step the run goes on from.
        steps_per_epoch: to show the epoch.
        batch_size: images in a step.
        console: where to write.
    """

    def __init__(
        self, title: str, *, total_steps: int, start_step: int, steps_per_epoch: int, batch_size: int, console: Console
    ) -> None:
        self._title, self._total = title, total_steps
        self._steps_per_epoch, self._batch_size, self._console = steps_per_epoch, batch_size, console
        self._numbers: dict[str, float] = {}
        self._recent: deque[tuple[float, int]] = deque(maxlen=50)
        self._last_line = time.monotonic()
        self._bar = None
        if console.is_terminal:
            columns = (TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"))
            self._bar = Progress(*columns, console=console, refresh_per_second=4)
            self._task = self._bar.add_task(title, total=total_steps, completed=start_step, status="starting")
            self._bar.start()

    def show(self, numbers: Mapping[str, float]) -> None:
        """Take over numbers to be shown from now on."""
        self._numbers.update(numbers)

    def advance(self, step: int) -> None:
        """Show that `step` steps of the phase are done."""
        self._recent.append((time.monotonic(), step))
        if self._bar is not None:
            self._bar.update(self._task, completed=step, status=self._status(step))
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES or step == self._total:
            self._last_line = time.monotonic()
            self._console.print(f"{self._title}: {self._status(step)}", highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _status(self, step: int) -> str:
        rate = self._steps_per_second()
        epochs = -(-self._total // self._steps_per_epoch)
        epoch = min((step - 1) // self._steps_per_epoch + 1, epochs)
        left = f"{_duration((self._total - step) / rate)} left" if rate else "starting"
        shown = " · ".join(f"{name} {value:.3f}" for name, value in self._numbers.items())
        return f"epoch {max(epoch, 1)}/{epochs} · {rate * self._batch_size:.0f} images/s · {left}" + (
            f" · {shown}" if shown else ""
        )

    def _steps_per_second(self) -> float:
        """Over the latest steps, so that building the graph and evaluations long ago do not count."""
        (first_time, first_step), (last_time, last_step) = self._recent[0], self._recent[-1]
        return (last_step - first_step) / (last_time - first_time) if last_step > first_step else 0.0


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
