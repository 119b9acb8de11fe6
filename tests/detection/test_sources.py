"""Annotated data in the true formats of VOC and COCO, with everything that can be wrong with them."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.object_detection import Voc

from bssl_tf.config.training import DataSettings
from bssl_tf.data import DataError
from bssl_tf.detection.sources import load_annotated

OBJECT = """<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated>
<difficult>{difficult}</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"""


class LocalVoc(Voc, skip_registration=True):
    """TFDS's own builder on a VOCdevkit that lies here."""

    name = "voc"

    def __init__(self, source, **kwargs):
        self._source = source
        super().__init__(**kwargs)

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(str(self._source), name)
            for split, name in {"train": "train", "validation": "val", "test": "test"}.items()
        }


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """VOC2007 in miniature: train 1 image with two objects, one of them difficult; val 1 empty; test 1."""
    root = tmp_path_factory.mktemp("voc")
    year = root / "VOCdevkit" / "VOC2007"
    objects = {
        "000001": [dict(name="dog", difficult=0, x0=10, y0=20, x1=40, y1=60), dict(name="cat", difficult=1)],
        "000002": [],
        "000003": [dict(name="person", difficult=0, x0=0, y0=0, x1=100, y1=80)],
    }
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (year / folder).mkdir(parents=True)
    for (name, found), split in zip(objects.items(), ("train", "val", "test"), strict=True):
        Image.new("RGB", (100, 80), (90, 120, 40)).save(year / "JPEGImages" / f"{name}.jpg")
        inner = "".join(OBJECT.format(**{**dict(x0=1, y0=1, x1=30, y1=30), **each}) for each in found)
        size = "<size><width>100</width><height>80</height><depth>3</depth></size>"
        (year / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{inner}</annotation>")
        (year / "ImageSets/Main" / f"{split}.txt").write_text(f"{name}\n")
    builder = LocalVoc(root, data_dir=str(root / "prepared"), config="2007")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    return DataSettings(dataset="tfds:voc/2007", data_dir=str(root / "prepared"), train_split="train+validation")


def test_voc_is_read_through_tfds(voc):
    data = load_annotated(voc, "train")
    annotations = data.annotations
    assert annotations.num_images == 2 and data.source.num_examples == 2
    assert annotations.class_names[11] == "dog" and len(annotations.class_names) == 20
    (place,) = np.flatnonzero(np.diff(annotations.starts))
    boxes, classes, ignored = annotations.of_image(place)
    assert classes.tolist() == [11, 7] and ignored.tolist() == [False, True]
    np.testing.assert_allclose(boxes[0], [20 / 80, 10 / 100, 60 / 80, 40 / 100], atol=1e-6)
    assert annotations.sizes.tolist() == [[80, 100]] * 2
    assert annotations.most_objects == 1  # difficult ones are not learned
    assert annotations.labels().sum() == 1
    assert "1 of them difficult" in annotations.report.text()
    assert annotations.report.count("images without objects (kept: all of them is background)") == 1
    assert load_annotated(voc, "test").annotations.classes.tolist() == [14]


def test_voc_has_several_labels_an_image_and_difficult_ones_do_not_count(voc):
    source = load_annotated(voc, "train").source
    (row,) = [row for row in source.multi_labels.values if row.any()]
    assert row[11] == 1 and row[7] == -1 and np.count_nonzero(row) == 2
    assert source.multi_labels.class_names[11] == "dog" and source.labels is None


def test_annotations_follow_the_ids_of_their_images(voc):
    data = load_annotated(voc, "train")
    ids = [int(example["id"]) for example in data.source.examples().as_numpy_iterator()]
    assert ids == data.source.ids.tolist()


def test_data_without_boxes_are_refused(voc):
    with pytest.raises(DataError, match="digits has no boxes"):
        load_annotated(DataSettings(), "train")
    with pytest.raises(DataError, match="nothing to learn from"):
        load_annotated(dataclasses.replace(voc, train_split="validation"), "train")


@pytest.fixture
def coco(tmp_path):
    """Six images; returns the settings and what writes the JSON with changes."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (100, 80), (30 * number, 120, 40)).save(folder / f"{number}.jpg")
    content = {
        "images": [dict(id=10 + n, file_name=f"{n}.jpg", width=100, height=80) for n in range(6)],
        "categories": [dict(id=7, name="cup"), dict(id=3, name="key")],
        "annotations": [
            dict(id=n, image_id=10 + n, category_id=7 if n % 2 else 3, bbox=[10, 20, 30, 40]) for n in range(6)
        ],
    }
    path = tmp_path / "annotations.json"

    def load(change=lambda content: None, **settings):
        changed = json.loads(json.dumps(content))
        change(changed)
        path.write_text(json.dumps(changed))
        text = f"coco:{path},{folder}"
        return load_annotated(DataSettings(**{"dataset": text, **settings}), "train", test_dataset=text)

    return load


def test_coco_is_read(coco):
    data = coco()
    assert data.annotations.class_names == ("key", "cup") and data.annotations.num_images == 6
    by_name = dict(zip(data.source.paths, data.annotations.classes.tolist(), strict=True))
    assert by_name == {f"{n}.jpg": n % 2 for n in range(6)}
    np.testing.assert_allclose(data.annotations.boxes[0], [20 / 80, 10 / 100, 60 / 80, 40 / 100], atol=1e-6)
    assert coco(max_train_images=2).annotations.num_images == 2


@pytest.mark.parametrize(
    ("change", "problem", "objects", "images"),
    [
        (lambda c: c["annotations"].pop(0), "images without objects", 5, 6),
        (lambda c: c["annotations"][0].update(bbox=[90, 20, 30, 40]), "boxes cut at the image's edge", 6, 6),
        (lambda c: c["annotations"][0].update(bbox=[200, 20, 30, 40]), "boxes outside of their image", 5, 6),
        (lambda c: c["annotations"][0].update(bbox=[10, 20, 0, 40]), "boxes without area", 5, 6),
        (lambda c: c["annotations"][0].update(bbox=[10, 20, float("nan"), 4]), "boxes without area", 5, 6),
        (lambda c: c["annotations"][0].update(category_id=99), "objects of an unknown class", 5, 6),
        (lambda c: c["annotations"][0].update(image_id=99), "annotations without an image", 5, 6),
        (lambda c: c["images"][0].update(file_name="lost.jpg"), "images that are missing or cannot be read", 5, 5),
        (lambda c: c["images"][0].update(width=50), "images of another size than the listed one", 5, 5),
        (lambda c: c["images"].pop(0), "image files without an entry", 5, 5),
    ],
)
def test_what_is_wrong_with_annotations_is_counted_and_named(coco, change, problem, objects, images):
    report = coco(change).annotations.report
    found = next(text for text in report.problems if text.startswith(problem))
    assert report.count(found) == 1 and f"1 × {found}: " in report.text()
    assert (report.objects, report.images) == (objects, images)


def test_an_image_of_another_size_is_counted_once(coco):
    assert len(coco(lambda c: c["images"][0].update(width=50)).annotations.report.problems) == 1


def test_the_first_so_many_are_mixed(coco):
    assert list(coco(max_train_images=3).source.paths) != ["0.jpg", "1.jpg", "2.jpg"]


def test_the_area_of_a_segment_is_kept(coco):
    areas = coco(lambda c: c["annotations"][0].update(area=300.5)).annotations.areas
    assert sorted(areas) == [300.5, *[1200.0] * 5]


def test_crowds_are_neither_learned_nor_lost(coco):
    annotations = coco(lambda c: c["annotations"][0].update(iscrowd=1)).annotations
    assert annotations.ignored.sum() == 1 and annotations.report.ignored_objects == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"].clear(), "nothing to learn from"),
        (lambda c: c["categories"].clear(), "lists no categories"),
        (lambda c: c.pop("images"), "holds no list images: give COCO's form"),
        (lambda c: c["annotations"][0].pop("bbox"), r"bbox of annotations\[0\] is missing"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), r"bbox of annotations\[0\] is '\[1, 2, 3\]'"),
        (lambda c: c["annotations"][1].update(bbox=[1, 2, 3, "4"]), r"bbox of annotations\[1\] is"),
        (lambda c: c["annotations"][1].update(bbox=[1, 2, 3, 10**400]), r"bbox of annotations\[1\] is"),
        (lambda c: c["annotations"][0].update(category_id=[1]), r"category_id of annotations\[0\] is '\[1\]'"),
        (lambda c: c["images"][0].update(file_name={}), r"file_name of images\[0\] is '{}'"),
        (lambda c: c["categories"].insert(0, "cat"), r"id of categories\[0\] is missing"),
        (lambda c: c["images"].clear(), "no image is left"),
    ],
)
def test_annotations_that_cannot_be_used_are_refused_by_name(coco, change, message):
    with pytest.raises(DataError, match=message):
        coco(change)


def test_a_coco_folder_without_a_readable_image_is_refused_by_name(coco):
    root = coco().source.report.root
    for path in root.iterdir():
        path.write_text("none")
    message = rf"--test_dataset=coco:.*: no file in {root} is an image.*Give another folder(.|\n)*6 × not an image"
    with pytest.raises(DataError, match=message):
        load_annotated(DataSettings(dataset="coco:a,b"), "test", f"coco:{root.parent}/annotations.json,{root}")


def test_coco_holds_images_out_for_testing_where_no_test_set_is_given(coco):
    text = f"coco:{coco().source.report.root.parent}/annotations.json,{coco().source.report.root}"
    settings = DataSettings(dataset=text, holdout=0.5)
    train, test = (load_annotated(settings, split).source.paths for split in ("train", "test"))
    assert sorted([*train, *test]) == [f"{n}.jpg" for n in range(6)] and train and test


def test_a_coco_dataset_that_is_not_there_is_refused(tmp_path):
    for text, message in {"coco:a.json": "a file and a folder", f"coco:{tmp_path}/a.json,b": "cannot be read"}.items():
        with pytest.raises(DataError, match=message):
            load_annotated(DataSettings(dataset=text), "train")
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}')
    text = f"coco:{tmp_path}/a.json,{tmp_path}/b"
    with pytest.raises(DataError, match=f"--test_dataset={text}: there is no folder .*b. Give coco:"):
        load_annotated(DataSettings(dataset=text), "test", test_dataset=text)
