"""What a run takes at least, in memory and on the disk, from its settings alone: to refuse what cannot fit.

All numbers are lower bounds: parameters of convolutions and dense layers, and the feature maps that the backward pass
needs, as its graph keeps them at 224 pixels. A run that is refused would not have fitted; one that is not refused may
still not fit. Nothing is known of the memory of GPUs: feature maps on them are compared with nothing.
"""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bssl_tf.config.chosen_method import ChosenMethod
from bssl_tf.config.networks import StudentSettings, TeacherSettings
from bssl_tf.config.training import Config
from bssl_tf.console import print_warning
from bssl_tf.errors import ConfigError
from bssl_tf.files import size_text
from bssl_tf.models.choices import TEACHERS

_FLOAT = 4
_CHECKPOINTS = 3
"""Two are kept while the next one is written."""


@dataclass(frozen=True)
class NetworkSize:
    """Of a network at least.

    Attributes:
        parameters: their number.
        features: length of its feature vector.
        maps: numbers in all feature maps, for each pixel of the image.
    """

    parameters: int
    features: int
    maps: float


_FIXED = {
    "reactnet_a": NetworkSize(28_000_000, 1024, 400),
    "quicknet_small": NetworkSize(12_000_000, 512, 60),
    "quicknet": NetworkSize(12_500_000, 512, 100),
    "quicknet_large": NetworkSize(22_500_000, 512, 160),
    "binary_resnet_e18": NetworkSize(11_000_000, 512, 120),
    "resnet18": NetworkSize(11_000_000, 512, 120),
    "resnet34": NetworkSize(21_000_000, 512, 170),
    "resnet50": NetworkSize(23_000_000, 2048, 450),
}
_OF_ANY_SIZE = ("reactnet_small", "resnet_small")


def network_size(name: str, *, width: int, depth: int, stages: int, dense: int = 0) -> NetworkSize:
    """Size of a network of `models.choices`; width, depth and stages count for the small ones.

    Raises:
        KeyError: a network that was added lacks its size here.
    """
    if name in _FIXED:
        size = _FIXED[name]
    elif name not in _OF_ANY_SIZE:
        raise KeyError(f"the network {name} has no size yet: add it to _FIXED in bssl_tf/training/memory.py")
    else:
        count, channels = 0, width
        for _ in range(stages):
            for block in range(depth):
                before = channels if block == 0 else 2 * channels
                after = 2 * channels
                if name == "resnet_small":
                    count += 9 * before * after + 9 * after**2
                else:  # reactnet_small: a 3×3 convolution, and 1×1 ones to the channels of the block
                    count += 9 * before**2 + before * after
            channels *= 2
        size = NetworkSize(count, channels, 2.0 * width)  # stems of large images have a stride of 2
    if not dense:
        return size
    return NetworkSize(size.parameters + size.features * dense, dense, size.maps)


@dataclass(frozen=True)
class PlannedNetwork:
    """A network of a run, and what trains with it.

    Attributes:
        flag: that names it, with its value.
        size: its size.
        phases: still to come in which it is trained, each with checkpoints of its own; 0: it is frozen.
        batch_flag: that names the images in a step, with its value.
        images: that are in the networks at once.
        trained_bytes: of a parameter in training: its value, its gradient, and what the optimizer keeps of it.
        beside: flag and value → parameters that are trained beside it.
        frozen: flag and value → parameters beside it that stay as they are.
    """

    flag: str
    size: NetworkSize
    phases: int
    batch_flag: str
    images: float
    trained_bytes: int
    beside: Mapping[str, int]
    frozen: Mapping[str, int]


def planned_networks(config: Config, still_open: Collection[str] | None = None) -> list[PlannedNetwork]:
    """What a configuration trains or runs: the teacher, if it is built here, and the student.

    Args:
        config: of the run.
        still_open: names of the phases that are not done; None: all.
    """
    networks, task, width_of_teacher = [], config.run.task, None
    pretraining, teacher, momentum = config.pretraining, config.teacher, config.optimizer.momentum
    if teacher.teacher in TEACHERS and (task == "teacher" or config.student_method.needs("teacher")):
        size = network_size(
            teacher.teacher, width=teacher.teacher_width, depth=teacher.teacher_depth, stages=teacher.teacher_stages
        )
        width_of_teacher = size.features
        is_open = task != "student" and (still_open is None or "teacher" in still_open)
        networks.append(
            PlannedNetwork(
                _flag_of_network("teacher", teacher),
                size,
                int(is_open),
                f"--teacher_batch_size={pretraining.teacher_batch_size}",
                _views_at_once(config.teacher_method) * pretraining.teacher_batch_size,
                bytes_in_training(pretraining.optimizer_settings(momentum).optimizer),
                {},
                {},
            )
        )
    optimizer, student, method = config.optimizer, config.student, config.student_method
    if task != "teacher":
        size = network_size(
            student.student,
            width=student.student_width,
            depth=student.student_depth,
            stages=student.student_stages,
            dense=student.student_dense,
        )
        stages = [f"stage{number}" for number in config.stage_numbers]
        beside = method.parameters(size.features, width_of_teacher)
        target_is_frozen = config.bssl.target == "frozen"
        trained = method.parameters(size.features, None) if target_is_frozen else beside
        networks.append(
            PlannedNetwork(
                _flag_of_network("student", student),
                size,
                sum(still_open is None or stage in still_open for stage in stages),
                f"--batch_size={optimizer.batch_size}",
                _views_at_once(method) * optimizer.batch_size / optimizer.micro_batches,
                bytes_in_training(optimizer.optimizer),
                trained,
                {flag: count - trained[flag] for flag, count in beside.items()},
            )
        )
    return networks


def _views_at_once(method: ChosenMethod) -> int:
    """Both views, but for MoCo v2 in the form of its reference, where one has gradients."""
    return 1 if method.options(1).get("symmetric") is False else 2


def bytes_in_training(optimizer: str) -> int:
    """Value, gradient, and the two moments of Adam or the velocity of SGD and LARS."""
    kept = 2 if optimizer.startswith("adam") else 1
    return (2 + kept) * _FLOAT


def memory_needed(
    networks: Sequence[PlannedNetwork], image_size: int, precision: str, replicas: int = 1
) -> dict[str, int]:
    """Flag and value → bytes that training takes because of it, at least.

    Args:
        networks: of the run.
        image_size: height and width that the networks see.
        precision: as the flag --precision.
        replicas: devices that share a batch.
    """
    bytes_of_maps, needed = _FLOAT if precision == "float32" else _FLOAT // 2, {}
    for network in networks:
        needed[network.flag] = network.size.parameters * (network.trained_bytes if network.phases else _FLOAT)
        for flag, count in network.beside.items():
            needed[flag] = count * network.trained_bytes + network.frozen[flag] * _FLOAT
        if network.phases:
            numbers = network.images / replicas * image_size**2 * network.size.maps
            needed[network.batch_flag] = int(numbers * bytes_of_maps)
    return needed


def check_memory(
    networks: Sequence[PlannedNetwork], image_size: int, precision: str, replicas: int = 1, *, on_gpus: bool = False
) -> None:
    """Refuse before anything is computed what this machine's memory cannot hold.

    Args:
        networks: as of `memory_needed`, like the next three.
        image_size: height and width that the networks see.
        precision: as the flag --precision.
        replicas: devices that share a batch.
        on_gpus: the feature maps are not in this machine's memory.

    Raises:
        ConfigError: this machine's memory is too small; names the flag that takes most of it.
    """
    needed, there = memory_needed(networks, image_size, precision, replicas), memory_of_machine()
    if on_gpus:
        batches = {network.batch_flag for network in networks}
        needed = {flag: size for flag, size in needed.items() if flag not in batches}
    flag, most = max(needed.items(), key=lambda item: item[1])
    if there is None or most <= there:
        return
    remedy = "lower it"
    if flag.startswith("--batch_size"):
        remedy = "lower it, or --image_size, or raise --micro_batches"
    elif flag.startswith("--teacher_batch_size"):
        remedy = "lower it, or --image_size"
    raise ConfigError(
        f"{flag} takes at least {size_text(most)} of memory at {image_size}×{image_size} pixels, and this machine has "
        f"{size_text(there)}: {remedy}."
    )


def disk_needed(networks: Sequence[PlannedNetwork]) -> int:
    """Bytes of the checkpoints and weights of all phases in which networks are trained, at least."""
    total = 0
    for network in networks:
        trained, frozen = network.size.parameters + sum(network.beside.values()), sum(network.frozen.values())
        total += network.phases * disk_of_phase(trained, frozen, network.size.parameters, network.trained_bytes)
    return total


def disk_of_phase(trained: int, frozen: int, result: int, trained_bytes: int) -> int:
    """Bytes of the checkpoints and weights of one phase, at least.

    Args:
        trained: number of parameters that are trained.
        frozen: of those in its checkpoints that are not.
        result: of those in the weights that it writes at its end.
        trained_bytes: as of `PlannedNetwork`.
    """
    checkpoint = trained * (trained_bytes - _FLOAT) + frozen * _FLOAT  # the gradient is not saved
    return _CHECKPOINTS * checkpoint + result * _FLOAT


def warn_of_disk(needed: int, workdir: Path, still_open: Collection[str]) -> None:
    """Warn where the checkpoints will not fit; what open phases have of an earlier session counts as fitted.

    Args:
        needed: bytes of the open phases, as of `disk_needed`.
        workdir: the run's; exists.
        still_open: names of the phases that are not done.
    """
    saved = [path for name in still_open for path in (workdir / name).glob("checkpoints/*")]
    there = sum(path.stat().st_size for path in saved if path.is_file())
    needed, free = needed - there, shutil.disk_usage(workdir).free
    if needed > free:
        print_warning(
            f"checkpoints (two are kept while a third is written) and weights take {size_text(needed)}, and "
            f"{size_text(free)} are free in {workdir}: free some space. A run that finds the disk full ends, and the "
            "same command goes on from its last checkpoint."
        )


def memory_of_machine() -> int | None:
    """Bytes of memory that this process may use; None where that cannot be found out."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    try:
        return min(found, int(limit.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return found


def _flag_of_network(of: str, group: StudentSettings | TeacherSettings) -> str:
    name = getattr(group, of)
    if name not in _OF_ANY_SIZE:
        return f"--{of}={name}"
    sizes = ("width", "depth", "stages")
    return " ".join(f"--{of}_{size}={getattr(group, f'{of}_{size}')}" for size in sizes)
