"""A folder of plausible photos: crops of the two that scikit-learn ships, as JPEG files."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images


def write_photos(folder: Path, count: int, width: int = 500, height: int = 375, seed: int = 0) -> list[Path]:
    """Write ``count`` JPEG files of quality 90, about 50 kB each: random cuts, sizes and mirrorings of real photos.

    Args:
        folder: existing folder.
        count: number of files.
        width: of every file, in pixels.
        height: likewise.
        seed: the same seed gives the same files.
    """
    rng = np.random.default_rng(seed)
    originals = [Image.fromarray(image) for image in load_sample_images().images]
    paths = []
    for number in range(count):
        original = originals[number % len(originals)]
        share = rng.uniform(0.5, 1.0)
        cut_width = share * min(original.width, original.height * width / height)
        cut_height = cut_width * height / width
        left, top = rng.uniform(0, original.width - cut_width), rng.uniform(0, original.height - cut_height)
        photo = original.resize(
            (width, height), Image.Resampling.BICUBIC, box=(left, top, left + cut_width, top + cut_height)
        )
        if rng.random() < 0.5:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        paths.append(folder / f"{number:04}.jpg")
        photo.save(paths[-1], quality=90)
    return paths
