"""How many of the nearest neighbours by cosine 1-bit codes find, on the test images of a run.

    python -m benchmarks.codes --workdir=RUN --model=RUN/model.tflite [--data_dir=DATA --images=2000 --export=FOLDER]

With --export the images are written as PNG files, for bssl-index to draw hits from.
"""

from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image
from rich.console import Console

from benchmarks.report import Result, Table
from bssl_tf.config import flags as configuration
from bssl_tf.config import saved
from bssl_tf.config.training import DataSettings
from bssl_tf.console import run_entry_point
from bssl_tf.native_logs import import_tensorflow

WORKDIR = flags.DEFINE_string("workdir", None, "A run.", required=True)
MODEL = flags.DEFINE_string("model", None, "A .tflite file of its student that gives features.", required=True)
IMAGES = flags.DEFINE_integer("images", 2000, "Test images to use: the first so many.", lower_bound=20)
EXPORT = flags.DEFINE_string("export", "", "A folder for the images.")
NEIGHBOURS = (1, 10, 100)


def main() -> None:
    import_tensorflow()
    from bssl_tf.data import evaluation_images, load_source
    from bssl_tf.deploy import TfliteBackbone
    from bssl_tf.deploy.codes import binary_codes
    from bssl_tf.search.nearest import recall

    config = saved.load(Path(WORKDIR.value) / "config.json")
    source = load_source(configuration.group_from_flags(DataSettings, base=config.data), "test")
    network = TfliteBackbone(MODEL.value)
    size, _, channels = network.image_shape
    batches = evaluation_images(source, image_size=size, channels=channels).unbatch().take(IMAGES.value).batch(256)
    images = np.concatenate(list(batches.as_numpy_iterator()))
    if EXPORT.value:
        _export(images, Path(EXPORT.value))
    features = network.features(images)
    codes = binary_codes(features, features.mean(axis=0))
    rows = [
        (k, recall(features, codes, k), recall(features, codes, k, among=10 * k))
        for k in NEIGHBOURS
        if 10 * k < len(images)
    ]
    title = (
        f"Neighbours by cosine that codes of {features.shape[1]} bits find, {source.name}, {len(images)} test images"
    )
    result = Result("codes", [Table(title, ("k", "among the k nearest by code", "among 10 k"), rows)])
    console = Console()
    result.show(console)
    console.print(result.save())


def _export(images: np.ndarray, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(folder / f"{number:05d}.png")


if __name__ == "__main__":
    configuration.define_flags(DataSettings)
    run_entry_point(main, __doc__)
