import numpy as np
import pytest
from PIL import Image

from bssl_tf.data.pipeline import evaluation_images
from bssl_tf.data.sources import folder
from bssl_tf.data.sources.base import DataError, readable_data_errors


def fill(path, count, size=(20, 30), start=0):
    path.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        Image.new("RGB", size, (number, 0, 0)).save(path / f"{number}.png")


def load(root, split, **options):
    return folder.load(root, split, **{"holdout": 0.25, "progress": False, **options})


def test_all_that_is_readable_in_a_nasty_folder_comes_out(nasty_folder):
    source = load(nasty_folder, "train", holdout=0.0)
    assert source.num_examples == 11 and source.image_shape == (None, None, 3)
    assert source.class_names == ["cats", "dogs"] and np.bincount(source.labels).tolist() == [5, 6]
    (batch,) = evaluation_images(source, image_size=16, channels=3)
    assert batch.shape == (11, 16, 16, 3)
    assert len(source.report.skipped) == 12


def test_holdout_is_a_stable_share_of_the_files(tmp_path):
    fill(tmp_path / "a", 60)
    fill(tmp_path / "b", 60)
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert set(train.paths).isdisjoint(test.paths) and len(train.paths) + len(test.paths) == 120
    assert 15 <= len(test.paths) <= 45
    fill(tmp_path / "b", 40, start=60)
    assert set(test.paths) <= set(load(tmp_path, "test").paths)
    assert set(train.paths) <= set(load(tmp_path, "train").paths)


def test_ids_belong_to_paths(tmp_path):
    def ids():
        source = load(tmp_path, "train")
        return dict(zip(source.paths, (int(example["id"]) for example in source.examples()), strict=True))

    fill(tmp_path, 20)
    before = ids()
    assert len(set(before.values())) == len(before)
    fill(tmp_path, 20, start=20)
    assert before.items() <= ids().items()


@pytest.mark.parametrize("test_name", ["test", "val", "validation"])
def test_splits_of_its_own_share_class_numbers(tmp_path, test_name):
    fill(tmp_path / "train" / "ant", 4)
    fill(tmp_path / "train" / "bee", 4)
    fill(tmp_path / "train" / "cow", 4)
    fill(tmp_path / test_name / "cow", 3)
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert train.class_names == test.class_names == ["ant", "bee", "cow"]
    assert train.num_examples == 12 and test.labels.tolist() == [2, 2, 2]


def test_folders_beside_the_splits_are_named(tmp_path):
    for name in ("train", "test", "val", ".hidden"):
        fill(tmp_path / name, 2)
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert train.report.unread == ("val",) and "not read: val/ beside train/" in train.report.text()
    assert test.report.root == tmp_path / "test" and "not read" not in test.report.text()
    (tmp_path / "val").rename(tmp_path / "train" / "val")
    assert "not read" not in load(tmp_path, "train").report.text()


@pytest.mark.parametrize("stray, labelled", [("one", False), ("one/deeper", False), ("two", True)])
def test_labels_need_two_folders(tmp_path, stray, labelled):
    fill(tmp_path / "one", 10)
    fill(tmp_path / stray, 10, start=10)
    assert (load(tmp_path, "train").labels is not None) == labelled


def test_an_image_beside_the_class_folders_means_no_labels(tmp_path):
    fill(tmp_path / "one", 10)
    fill(tmp_path / "two", 10)
    fill(tmp_path, 1)
    source = load(tmp_path, "train")
    assert source.labels is None and source.class_names is None


def test_first_images_are_of_mixed_classes(tmp_path):
    for name in "abcd":
        fill(tmp_path / name, 25)
    assert len(set(load(tmp_path, "train", max_images=20).labels.tolist())) == 4


def test_images_of_one_size_have_a_static_shape(tmp_path):
    fill(tmp_path, 12, size=(8, 8))
    assert load(tmp_path, "train").image_shape == (8, 8, 3)
    Image.new("L", (9, 8)).save(tmp_path / "other.png")
    assert load(tmp_path, "train").image_shape == (None, None, 3)


def test_grey_folder_has_one_channel(tmp_path):
    for number in range(12):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    source = load(tmp_path, "train")
    assert source.image_shape == (8, 8, 1)
    (batch,) = evaluation_images(source, image_size=8, channels=1)
    assert [f"{value}.png" for value in batch.numpy()[:, 0, 0, 0]] == source.paths


@pytest.mark.parametrize("name", ["plain", "a >> b", "<<data error: >>"])
def test_a_file_that_disappears_is_named_without_a_stack(tmp_path, name):
    tmp_path = tmp_path / name
    fill(tmp_path, 12)
    source = load(tmp_path, "train")
    (tmp_path / source.paths[0]).unlink()
    with pytest.raises(DataError) as caught, readable_data_errors():
        list(evaluation_images(source, image_size=8, channels=3))
    message = str(caught.value)
    assert message.startswith(f"The image {tmp_path / source.paths[0]} could be read when")
    assert message.endswith(
        "(cannot be read: No such file or directory). Restore it or take it away, then start again."
    )


def test_a_file_that_breaks_is_named(tmp_path):
    fill(tmp_path, 12)
    source = load(tmp_path, "train")
    broken = tmp_path / source.paths[3]
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=f"{broken}.*broken or truncated"), readable_data_errors():
        list(evaluation_images(source, image_size=8, channels=3))


def test_folder_without_a_readable_image(tmp_path):
    (tmp_path / "a.jpg").write_text("nothing")
    with pytest.raises(DataError, match=r"No file in .* is an image(.|\n)*a.jpg \(not an image\)"):
        load(tmp_path, "train")


def test_holdout_that_leaves_nothing(tmp_path):
    fill(tmp_path, 3)
    with pytest.raises(DataError, match="--holdout=0 leaves none of the 3 images"):
        load(tmp_path, "test", holdout=0.0)


def test_names_that_are_no_utf8_are_text_everywhere(tmp_path):
    root = tmp_path / "phot\udce9s"
    fill(root / "caf\udce9", 3)
    fill(root / "日本", 3)
    source = load(root, "train", holdout=0.0)
    assert source.class_names == ["caf\\udce9", "日本"] and sorted(source.labels) == [0, 0, 0, 1, 1, 1]
    assert source.name.endswith("phot\\udce9s")
    (batch,) = evaluation_images(source, image_size=16, channels=3)
    assert batch.shape == (6, 16, 16, 3)
