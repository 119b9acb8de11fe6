"""What a run takes at least, in memory and on the disk, from its settings alone: to refuse what cannot fit.

All numbers are lower bounds: parameters of convolutions and dense layers, and the feature maps that the backward pass
needs. A run that is refused would not have fitted; one that is not refused may still not fit.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bssl_tf.config.training import Config
from bssl_tf.console import print_warning
from bssl_tf.errors import ConfigError
from bssl_tf.files import size_text
from bssl_tf.models.choices import TEACHERS

_FLOAT = 4
_TRAINED = 4 * _FLOAT
"""Bytes of a parameter in training: value, gradient, and two moments of Adam."""
_SAVED = 3 * _FLOAT
"""Bytes of a parameter in a checkpoint."""
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
    "resnet18": NetworkSize(11_000_000, 512, 150),
    "resnet34": NetworkSize(21_000_000, 512, 220),
    "resnet50": NetworkSize(23_000_000, 2048, 600),
}


def network_size(name: str, *, width: int, depth: int, stages: int, dense: int = 0) -> NetworkSize:
    """Size of a network of `models.choices`; width, depth and stages count for the small ones."""
    size = _FIXED.get(name)
    if size is None:
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


def network_sizes(config: Config) -> tuple[NetworkSize, NetworkSize | None]:
    """Of student and teacher; None for a teacher that comes from elsewhere."""
    student, teacher = config.student, config.teacher
    of_student = network_size(
        student.student,
        width=student.student_width,
        depth=student.student_depth,
        stages=student.student_stages,
        dense=student.student_dense,
    )
    if teacher.teacher not in TEACHERS:
        return of_student, None
    of_teacher = network_size(
        teacher.teacher, width=teacher.teacher_width, depth=teacher.teacher_depth, stages=teacher.teacher_stages
    )
    return of_student, of_teacher


def memory_needed(config: Config, image_size: int, replicas: int = 1) -> dict[str, int]:
    """Flag and value → bytes that training takes because of it, at least.

    Args:
        config: the run's.
        image_size: height and width that the networks see.
        replicas: devices that share a batch.
    """
    student, teacher = network_sizes(config)
    bytes_of_maps = _FLOAT if config.compute.precision == "float32" else _FLOAT // 2
    optimizer, pretraining = config.optimizer, config.pretraining
    needed = {}
    if config.run.task != "teacher":
        rows = 2 * optimizer.batch_size / optimizer.micro_batches / replicas
        needed[_flag_of_network("student", config)] = student.parameters * _TRAINED
        needed[f"--batch_size={optimizer.batch_size}"] = int(rows * image_size**2 * student.maps * bytes_of_maps)
        if config.method.method == "bssl":
            classes = _classifiers(config, student, teacher) * _TRAINED
            needed[f"--pseudo_classes={config.bssl.pseudo_classes}"] = classes
    if teacher is not None:
        needed[_flag_of_network("teacher", config)] = teacher.parameters * _FLOAT
        if config.run.task != "student":
            rows = 2 * pretraining.teacher_batch_size / replicas
            needed[f"--teacher_batch_size={pretraining.teacher_batch_size}"] = int(
                rows * image_size**2 * teacher.maps * bytes_of_maps
            )
    return needed


def check_memory(config: Config, image_size: int, replicas: int = 1) -> None:
    """Raises:
    ConfigError: this machine's memory is too small; names the flag that takes most of it.
    """
    needed, there = memory_needed(config, image_size, replicas), memory_of_machine()
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


def disk_needed(config: Config) -> int:
    """Bytes of the checkpoints and weights of all phases that the configuration asks for, at least."""
    student, teacher = network_sizes(config)
    per_parameter = _SAVED * _CHECKPOINTS + _FLOAT
    phases = len(config.stage_numbers) if config.run.task != "teacher" else 0
    heads = _classifiers(config, student, teacher) if config.method.method == "bssl" else 0
    needed = phases * (student.parameters + heads) * per_parameter
    if teacher is not None and config.run.task != "student":
        needed += teacher.parameters * per_parameter
    return needed


def warn_of_disk(config: Config, workdir: Path) -> None:
    """Warn where the checkpoints will not fit; what is there of an earlier session counts as fitted."""
    there = sum(path.stat().st_size for path in workdir.glob("*/checkpoints/*") if path.is_file())
    needed, free = disk_needed(config) - there, shutil.disk_usage(workdir).free
    if needed > free:
        print_warning(
            f"checkpoints and weights take {size_text(needed)} at least, and {size_text(free)} are free in {workdir}: "
            "free some space. A run that finds the disk full ends, and the same command goes on from its last "
            "checkpoint."
        )


def memory_of_machine() -> int | None:
    """Bytes of memory that this process may use; None where that cannot be found out."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container
    try:
        return min(found, int(limit.read_text()))
    except (OSError, ValueError):
        return found


def _classifiers(config: Config, student: NetworkSize, teacher: NetworkSize | None) -> int:
    """Parameters of BSSL's classifiers, of two layers each."""
    classes = config.bssl.pseudo_classes
    inputs = student.features + (teacher.features if teacher is not None else 0)
    return inputs * classes + (2 if teacher is not None else 1) * classes**2


def _flag_of_network(of: str, config: Config) -> str:
    group = getattr(config, of)
    if not getattr(group, of).endswith("_small") or "quicknet" in getattr(group, of):
        return f"--{of}={getattr(group, of)}"
    names = ("width", "depth", "stages")
    return " ".join(f"--{of}_{name}={getattr(group, f'{of}_{name}')}" for name in names)
