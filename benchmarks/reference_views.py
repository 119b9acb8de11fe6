"""Two views of each photo as others make them, for comparison: Pillow and NumPy, and torchvision.

    python benchmarks/reference_views.py KIND WORKERS SECONDS FOLDER     prints images a second, CPU seconds an image

It needs nothing of this package, so that the torchvision rows may run in another environment.
Every worker is one process with one thread. Kinds: pillow, torchvision (its own Gaussian blur, a
23×23 convolution), torchvision_pillow_blur (Pillow's blur, as MoCo's and SimSiam's code has it).
"""

import math
import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE = 224
KINDS = {
    "pillow": "Pillow and NumPy",
    "torchvision": "torchvision, DataLoader",
    "torchvision_pillow_blur": "torchvision with Pillow's blur, DataLoader",
}


def pillow_view(image: Image.Image) -> np.ndarray:
    """The recipe in plain Pillow and NumPy: crop, flip, jitter, grey, blur."""
    area = random.uniform(0.2, 1.0) * image.width * image.height
    ratio = math.exp(random.uniform(-math.log(4 / 3), math.log(4 / 3)))
    width = min(image.width, math.sqrt(area * ratio))
    height = min(image.height, math.sqrt(area / ratio))
    left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - height)
    image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(image, np.float32)
    if random.random() < 0.6:
        pixels = _jittered(pixels)
    if random.random() < 0.2:
        pixels = np.repeat(_luma(pixels), 3, axis=-1)
    if random.random() < 0.2:
        image = Image.fromarray(pixels.astype(np.uint8))
        pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0))), np.float32)
    return pixels


def _luma(pixels: np.ndarray) -> np.ndarray:
    return (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., np.newaxis]


def _jittered(pixels: np.ndarray) -> np.ndarray:
    pixels = np.clip(pixels * random.uniform(0.6, 1.4), 0, 255)
    mean, factor = _luma(pixels).mean(), random.uniform(0.6, 1.4)
    pixels = np.clip(mean + (pixels - mean) * factor, 0, 255)
    luma, factor = _luma(pixels), random.uniform(0.6, 1.4)
    pixels = np.clip(luma + (pixels - luma) * factor, 0, 255)
    hsv = np.array(Image.fromarray(pixels.astype(np.uint8)).convert("HSV"))
    hsv[..., 0] += np.uint8(round(random.uniform(-0.1, 0.1) * 255) % 256)
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"), np.float32)


def torchvision_view(has_pillow_blur: bool):
    """The recipe as torchvision's transforms."""
    import torch
    from torchvision import transforms as t

    torch.set_num_threads(1)
    blur = t.GaussianBlur(23, (0.1, 2.0))
    if has_pillow_blur:
        blur = t.Lambda(lambda image: image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0))))
    return t.Compose(
        [
            t.RandomResizedCrop(SIZE, (0.2, 1.0), interpolation=t.InterpolationMode.BICUBIC),
            t.RandomHorizontalFlip(),
            t.RandomApply([t.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.6),
            t.RandomGrayscale(0.2),
            t.RandomApply([blur], p=0.2),
            t.ToTensor(),
        ]
    )


class Photos:
    """What a PyTorch DataLoader takes: item → two views."""

    def __init__(self, paths: list[Path], view, count: int) -> None:
        self._paths, self._view, self._count = paths, view, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int):
        image = Image.open(self._paths[index % len(self._paths)]).convert("RGB")
        return self._view(image), self._view(image)


def pillow_rate(paths: list[Path], workers: int, seconds: float) -> tuple[float, float]:
    """Of as many processes, each in a loop of its own, batches left out: images a second, CPU seconds for each."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.starmap(_pillow_loop, [(paths, 0.2)] * workers)  # warm-up
        counts, times = zip(*pool.starmap(_pillow_loop, [(paths, seconds)] * workers, chunksize=1), strict=True)
    return sum(counts) / seconds, sum(times) / sum(counts)


def _pillow_loop(paths: list[Path], seconds: float) -> tuple[float, float]:
    photos, count = Photos(paths, pillow_view, len(paths)), 0
    start, start_cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < start + seconds:
        photos[count]
        count += 1
    return count * seconds / (time.perf_counter() - start), time.process_time() - start_cpu


def torchvision_rate(paths: list[Path], workers: int, seconds: float, has_pillow_blur: bool) -> tuple[float, float]:
    """Out of a DataLoader in batches of 32: images a second, CPU seconds for each."""
    import torch

    batch = 32
    photos = Photos(paths, torchvision_view(has_pillow_blur), 10**6)
    batches = iter(torch.utils.data.DataLoader(photos, batch, num_workers=workers))
    for _ in range(2 + 2 * workers):  # start, and what was prepared before the clock runs
        next(batches)
    processes = [os.getpid(), *(worker.pid for worker in batches._workers)]
    count, start, start_cpu = 0, time.perf_counter(), cpu_seconds(processes)
    while time.perf_counter() < start + seconds:
        next(batches)
        count += batch
    return count / (time.perf_counter() - start), (cpu_seconds(processes) - start_cpu) / count


def cpu_seconds(processes: list[int]) -> float:
    """What these processes have used so far; Linux only."""
    ticks = 0
    for process in processes:
        after_name = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(after_name[11]) + int(after_name[12])  # user, system
    return ticks / os.sysconf("SC_CLK_TCK")


def main(kind: str, workers: str, seconds: str, folder: str) -> None:
    paths = sorted(Path(folder).glob("*.jpg"))
    if kind == "pillow":
        print(*pillow_rate(paths, int(workers), float(seconds)))
    else:
        print(*torchvision_rate(paths, int(workers), float(seconds), kind == "torchvision_pillow_blur"))


if __name__ == "__main__":
    main(*sys.argv[1:])
