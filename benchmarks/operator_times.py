"""Reads out of a trace of TensorFlow's profiler what the time of a step goes into, by kind of operator."""

import collections
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

KINDS = {
    "convolutions, forward": ("Conv2D", "FusedConv2D"),
    "convolutions, gradient of inputs": ("Conv2DBackpropInput",),
    "convolutions, gradient of kernels": ("Conv2DBackpropFilter",),
    "batch norms": ("FusedBatchNormV3", "FusedBatchNormGradV3"),
    "signs, biases, RPReLU (XLA)": ("Start",),
    "matrix products": ("MatMul", "FusedMatMul"),
    "pools": ("AvgPool", "AvgPoolGrad"),
    "additions, concatenations, slices": ("AddV2", "AddN", "ConcatV2", "Slice"),
}
"""Kind → operators, as TensorFlow names them, without prefixes. The executor waits in Start while XLA runs."""
REST = "all else: losses, Adam, the executor"
STEPS = 4
_EXECUTOR = "ExecutorState"  # threads without it are those that wait for it, or XLA's, for which it waits


def kind_of(event: str) -> str:
    """The kind of an operator, by its name in a trace."""
    name = event.rpartition(":")[2].removeprefix("_MklNative").removeprefix("_Mkl").partition(".")[0]
    name = name.removeprefix("_")
    return next((kind for kind, names in KINDS.items() if name in names), REST)


def own_times(events: Iterable[tuple[int, int, str]]) -> dict[str, int]:
    """Time of each kind, without that of what is called within.

    Args:
        events: (start, duration, name) of one thread; properly nested.
    """
    times: collections.Counter[str] = collections.Counter()
    open_events: list[tuple[int, str]] = []
    for start, duration, name in sorted(events, key=lambda event: (event[0], -event[1])):
        while open_events and open_events[-1][0] <= start:
            open_events.pop()
        kind = kind_of(name)
        times[kind] += duration
        if open_events:
            times[open_events[-1][1]] -= duration
        open_events.append((start + duration, kind))
    return times


def traced(step: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of each kind in one step."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=2)):
            for _ in range(STEPS):
                step()
        (trace,) = Path(folder).rglob("*.xplane.pb")
        planes = XSpace.FromString(trace.read_bytes()).planes
    times: collections.Counter[str] = collections.Counter()
    for plane in planes:
        if "CPU" not in plane.name:
            continue
        names = {number: metadata.name for number, metadata in plane.event_metadata.items()}
        for thread in plane.lines:
            events = [(event.offset_ps, event.duration_ps, names[event.metadata_id]) for event in thread.events]
            if any(name.startswith(_EXECUTOR) for *_, name in events):
                times.update(own_times(events))
    return {kind: times[kind] / 1e9 / STEPS for kind in (*KINDS, REST)}
