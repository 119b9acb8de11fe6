"""Writes scikit-learn's digits as PNG files, for the atlas to be tried without photos of one's own.

    python -m bssl_tf.atlas.demo_photos runs/demo/photos
    python -m bssl_tf.atlas.demo_photos PATH --data_set=tfds:fashion_mnist --data_dir=DIR --split=train --most=20000

File names do not tell the class. ``PATH.csv`` does, for whoever wants to know how right the labels are.
"""

import argparse
import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from bssl_tf.config.training import DataSettings
from bssl_tf.errors import UserError
from bssl_tf.files import write_bytes, write_text


def write_photos(folder: Path, data: DataSettings, split: str, most: int = 0) -> int:
    """Write the images of a split as ``NUMBER.png``, and their classes beside the folder; returns their number."""
    from bssl_tf.data import load_source

    source = load_source(data, split, folder)
    if source.labels is None or source.class_names is None:
        raise UserError(f"{data.dataset} has no labels: its images are files already, or of no use to try labels on.")
    classes = [source.class_names[label] for label in source.labels]
    truth, order = io.StringIO(), range(min(most or source.num_examples, source.num_examples))
    rows = csv.writer(truth)
    rows.writerow(("path", "class"))
    records = source.examples().take(len(order)).map(lambda example: source.decode(example["record"]))
    for number, pixels in zip(order, records.as_numpy_iterator(), strict=True):
        write_bytes(folder / f"{number:05}.png", _png(pixels))
        rows.writerow((f"{number:05}.png", classes[number]))
    write_text(folder.with_suffix(".csv"), truth.getvalue())
    return len(order)


def _png(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(content, "PNG")
    return content.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data_set", default="digits", help="as train.py's --dataset")
    parser.add_argument("--data_dir", default="", help="of TFDS")
    parser.add_argument("--split", default="train", choices=("train", "test"))
    parser.add_argument("--most", type=int, default=0, help="so many images; 0: all")
    arguments = parser.parse_args()
    if arguments.folder.exists() and any(arguments.folder.iterdir()):
        print(f"{arguments.folder} has files in it already: nothing was written")
        return
    data = DataSettings(dataset=arguments.data_set, data_dir=arguments.data_dir)
    count = write_photos(arguments.folder, data, arguments.split, arguments.most)
    print(f"{count} images in {arguments.folder}")


if __name__ == "__main__":
    main()
