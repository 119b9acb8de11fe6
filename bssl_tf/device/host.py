"""This machine, with Larq Compute Engine's interpreter: for checking that a file runs, not for how fast it will be."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bssl_tf.device.tool import REPEATS, WARM_UP_RUNS
from bssl_tf.device.tool_output import ToolRun

X86_WARNING = (
    "Times on this machine do not predict a phone: the engine's binary kernels are hand-written for 64-bit ARM, and "
    "elsewhere reference code runs in their place, so that the binary network looks slower than it is."
)


class Host:
    """Implements `Machine`; it has no profile of operators.

    Args:
        load: (file, threads) → a `deploy.TfliteBackbone`, which this room below it does not import.
    """

    profiles = False

    def __init__(self, load: Callable[[Path, int], Any]) -> None:
        self._load = load
        self.description = f"this machine ({platform.machine()}), Larq Compute Engine's interpreter"

    def time(self, file: Path, threads: int, *, profile: bool) -> ToolRun:
        backbone = self._load(file, threads)
        start = backbone.start_seconds
        pixels = np.zeros((1, *backbone.image_shape), backbone.report.inputs[0].dtype)
        seconds = [backbone.run(pixels)[0] for _ in range(1 + WARM_UP_RUNS + REPEATS)]
        first, warm_up, counted = seconds[0], seconds[1 : 1 + WARM_UP_RUNS], seconds[1 + WARM_UP_RUNS :]
        return ToolRun(
            start=1000 * start,
            first=1000 * first,
            warm_up=1000 * float(np.mean(warm_up)),
            mean=1000 * float(np.mean(counted)),
            deviation=1000 * float(np.std(counted)),
            fastest=1000 * min(counted),
            slowest=1000 * max(counted),
            repeats=len(counted),
            warm_up_runs=len(warm_up),
        )
