"""Images with boxes: TFDS's data sets in VOC's or COCO's form, and COCO's JSON beside a folder of images.

tfds:voc/2007   tfds:voc/2012   tfds:coco/2017   tfds:fashion_scenes
coco:ANNOTATIONS.json,IMAGES
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bssl_tf.config.data import DataSettings
from bssl_tf.data.sources.base import DataError
from bssl_tf.data.sources.folder import FolderSource, order_of
from bssl_tf.data.sources.folder_scan import scan_folder
from bssl_tf.data.sources.image_files import ImageInfo
from bssl_tf.detection.annotations import AnnotatedImages, AnnotationReport, RawImage, clean
from bssl_tf.errors import UserError
from bssl_tf.files import read_json

_DIFFICULT, _CROWD, _AREA = "is_difficult", "is_crowd", "area"
_COCO: dict[str, dict[str, Any]] = {
    "images": {"id": (int, str), "file_name": str},
    "annotations": {"image_id": (int, str), "category_id": (int, str), "bbox": list},
    "categories": {"id": (int, str), "name": str},
}
"""What is used of COCO's JSON, and of which types it is."""


def load_annotated(
    settings: DataSettings, split: str, test_dataset: str = "", cache_dir: Path | None = None
) -> AnnotatedImages:
    """The images with boxes that the settings name.

    Args:
        settings: data set, splits, limits.
        split: "train" or "test".
        test_dataset: coco: the test images' ``coco:ANNOTATIONS.json,IMAGES``; empty: ``settings.holdout`` of the
            images are kept for testing.
        cache_dir: where the verdicts on files are kept; None: nowhere.

    Raises:
        DataError: no such data, or nothing in it that can be learned.
    """
    kind, _, rest = settings.dataset.partition(":")
    max_images = settings.max_train_images if split == "train" else settings.max_test_images
    if kind == "tfds" and rest:
        name = settings.train_split if split == "train" else settings.test_split
        return _from_tfds(rest, name, settings.data_dir, max_images, f"--{split}_split")
    if kind == "coco" and rest:
        if test_dataset:
            flag, text = ("--dataset", settings.dataset) if split == "train" else ("--test_dataset", test_dataset)
            return _from_coco(text, flag, None, max_images, cache_dir)
        share = (settings.holdout, split == "test")
        return _from_coco(settings.dataset, "--dataset", share, max_images, cache_dir)
    raise DataError(
        f"--dataset={settings.dataset} has no boxes that this program can read. Give tfds:NAME of a data set with "
        "objects (tfds:voc/2007, tfds:fashion_scenes) or coco:ANNOTATIONS.json,IMAGES."
    )


def _from_tfds(name: str, split: str, data_dir: str, max_images: int, flag: str) -> AnnotatedImages:
    import tensorflow_datasets as tfds

    from bssl_tf.data.sources import tfds as tfds_source

    source = tfds_source.load(name, split, data_dir=data_dir, max_images=max_images, flag=flag)
    builder = tfds.builder(name, data_dir=data_dir or None)
    features = builder.info.features
    objects = features["objects"].feature if "objects" in features else {}
    if not {"bbox", "label"} <= set(objects):
        raise DataError(
            f"--dataset=tfds:{name} has no feature 'objects' with 'bbox' and 'label', as VOC and COCO have; its "
            f"features are {', '.join(features)}. Choose a detection data set."
        )
    classes = objects["label"].names
    details = [each for each in (_DIFFICULT, _CROWD, _AREA) if each in objects]
    read = tfds_source.stored_features(
        builder,
        split,
        source.num_examples,
        {"image": True, "objects": dict.fromkeys(("bbox", "label", *details), True)},
        {"image": tfds.decode.SkipDecoding()},
    )
    image = features["image"]

    def with_size(example: dict) -> dict:
        size, file = image.shape[:2], example["image"]
        if None in size:  # of a JPEG the header tells it, which is far faster than decoding
            size = tf.cond(
                tf.io.is_jpeg(file),
                lambda: tf.io.extract_jpeg_shape(file)[:2],
                lambda: tf.shape(image.decode_example(file))[:2],
            )
        return {"objects": example["objects"], "size": tf.cast(size, tf.int64), "id": example["tfds_id"]}

    raw = []
    for example in read.map(with_size, tf.data.AUTOTUNE).as_numpy_iterator():
        found, (height, width) = example["objects"], (int(side) for side in example["size"])
        none = np.zeros(len(found["label"]), bool)
        crowds = found.get(_CROWD, none)
        ignored = crowds | found.get(_DIFFICULT, none)
        boxes = np.asarray(found["bbox"], np.float64).reshape(-1, 4) * [height, width, height, width]
        image_name = example["id"].decode()
        raw.append(RawImage(image_name, height, width, boxes, found["label"], ignored, crowds, found.get(_AREA)))
    return AnnotatedImages(
        source, clean(classes, raw, AnnotationReport(source.name), flag=f"--dataset=tfds:{name} {flag}={split}")
    )


def _from_coco(
    text: str, flag: str, share: tuple[float, bool] | None, max_images: int, cache_dir: Path | None
) -> AnnotatedImages:
    """`share`: of the images for testing, and whether these are wanted; None: all."""
    file, comma, folder = text.removeprefix("coco:").rpartition(",")
    if not comma or not file or not folder:
        raise DataError(f"{flag}={text}: give coco:ANNOTATIONS.json,IMAGES, a file and a folder.")
    content = _parsed(Path(file).expanduser(), f"{flag}={text}")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"{flag}={text}: there is no folder {root}. Give coco:ANNOTATIONS.json,IMAGES.")
    scan = scan_folder(root, cache_dir)
    if not scan.images:
        raise DataError(
            f"{flag}={text}: no file in {root} is an image that can be read. Give another folder.\n{scan.text()}"
        )
    report = AnnotationReport(f"coco:{file}")
    categories = sorted(content["categories"], key=lambda each: (isinstance(each["id"], str), each["id"]))
    class_of = {category["id"]: place for place, category in enumerate(categories)}
    entries = {entry["id"]: entry for entry in content["images"]}
    objects: dict[Any, list[dict]] = {}
    for annotation in content["annotations"]:
        if annotation["image_id"] in entries:
            objects.setdefault(annotation["image_id"], []).append(annotation)
        else:
            report.add("annotations without an image (left out)", f"image_id {annotation['image_id']}")
    present: dict[str, Any] = {}
    for identity, entry in entries.items():
        if entry["file_name"] not in scan.images:
            report.add("images that are missing or cannot be read (left out)", entry["file_name"])
        elif entry["file_name"] in present:
            report.add("images listed twice (left out)", entry["file_name"])
        elif _size_differs(entry, scan.images[entry["file_name"]]):
            report.add("images of another size than the listed one (left out)", entry["file_name"])
        else:
            present[entry["file_name"]] = identity
    for name in sorted(scan.images.keys() - {entry["file_name"] for entry in entries.values()}):
        report.add("image files without an entry (left out)", name)
    source = FolderSource(scan, sorted(present, key=order_of))
    kept = [path for path, keep in zip(source.paths, _in_share(source.ids, share), strict=True) if keep][
        : max_images or None
    ]
    if not kept:
        raise DataError(f"{flag}={text}: no image is left to use.\n{report.text()}")
    raw = [_raw_image(path, scan.images[path], objects.get(present[path], []), class_of) for path in kept]
    names = [category["name"] for category in categories]
    return AnnotatedImages(FolderSource(scan, kept), clean(names, raw, report, flag=f"{flag}={text}"))


def _size_differs(entry: dict, info: ImageInfo) -> bool:
    """Then the boxes would lie elsewhere: the image was resized, or is rotated by its EXIF data."""
    return (entry.get("height", info.height), entry.get("width", info.width)) != (info.height, info.width)


def _in_share(ids: np.ndarray, share: tuple[float, bool] | None) -> np.ndarray:
    """Whether each image belongs to the wanted part; it depends on the image's name alone."""
    if share is None:
        return np.ones(len(ids), bool)
    held_out, wanted = share
    return ((ids % 10_000) / 10_000 < held_out) == wanted


def _raw_image(path: str, info: ImageInfo, objects: list[dict], class_of: dict[Any, int]) -> RawImage:
    corners = np.array([each["bbox"] for each in objects], np.float64).reshape(-1, 4)  # x, y, width, height
    boxes = np.stack(
        [corners[:, 1], corners[:, 0], corners[:, 1] + corners[:, 3], corners[:, 0] + corners[:, 2]], axis=1
    )
    crowds = np.array([bool(each.get("iscrowd", 0)) for each in objects], bool)
    return RawImage(
        path,
        info.height,
        info.width,
        boxes,
        np.array([class_of.get(each["category_id"], -1) for each in objects], np.int64),
        crowds,
        crowds,
        np.array([_area(each) for each in objects], np.float64),
    )


def _area(annotation: dict) -> float:
    """That of the segment, where it is listed."""
    area = annotation.get("area")
    return float(area) if isinstance(area, int | float) and 0 < area < float("inf") else float("nan")


def _parsed(path: Path, flag: str) -> dict[str, Any]:
    """COCO's JSON, as far as it is used here.

    Raises:
        DataError: no such file, no JSON, a part is missing, or a value is none that can stand there.
    """
    remedy = (
        "give COCO's form: images (id, file_name), annotations (image_id, category_id, bbox), categories (id, name)"
    )
    try:
        content = read_json(path, dict, remedy)
    except OSError as error:
        raise DataError(f"{flag}: {path} cannot be read ({error.strerror}).") from None
    except UserError as error:
        raise DataError(f"{flag}: {error}") from None
    for part, fields in _COCO.items():
        entries = content.get(part)
        if not isinstance(entries, list):
            raise DataError(f"{flag}: {path} holds no list {part}: {remedy}.")
        for place, entry in enumerate(entries):
            for name, kind in fields.items():
                value = entry.get(name) if isinstance(entry, dict) else None
                if not isinstance(value, kind) or (name == "bbox" and not _is_box(value)):
                    shown = "missing" if value is None else f"{str(value)[:40]!r}"
                    raise DataError(f"{flag}: {path}: {name} of {part}[{place}] is {shown}: {remedy}.")
    if not content["categories"]:
        raise DataError(f"{flag}: {path} lists no categories.")
    return content


def _is_box(value: list[Any]) -> bool:
    """Four numbers: x, y, width, height. What is not finite is counted later, as a box without area."""
    try:
        return len([float(each) for each in value if isinstance(each, int | float)]) == len(value) == 4
    except OverflowError:
        return False
