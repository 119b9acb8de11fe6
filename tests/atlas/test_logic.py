"""Photos, index, map, lists, predictions, suggestions and exports, without a browser."""

import csv
import dataclasses
import functools
import json
import operator
import os
import shutil
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from bssl_tf.atlas import exporting, finding, predicting, suggesting, taking_home
from bssl_tf.atlas.atlas import Atlas, Settings
from bssl_tf.atlas.indexing import open_index
from bssl_tf.atlas.layout import lay_out, nearest_others, open_layout
from bssl_tf.atlas.photos import PhotoFolder
from bssl_tf.atlas.predicting import labelled_photos, measure, predict, wilson_interval
from bssl_tf.atlas.progress import Progress
from bssl_tf.atlas.store import Label
from bssl_tf.config.training import DataSettings
from bssl_tf.data import load_source
from bssl_tf.errors import DiskFull, UserError
from tests.atlas.conftest import HOSTILE, PHOTOS

NAMES = {1: "ant", 2: "bee", 3: "cow", 4: "dog"}


@pytest.fixture(scope="module")
def photos(digits):
    return PhotoFolder(digits.folder)


@pytest.fixture(scope="module")
def index(digits, photos, tmp_path_factory):
    return open_index(tmp_path_factory.mktemp("session"), digits.model, photos)


@pytest.fixture(scope="module")
def classes(digits, photos):
    return np.array([int(digits.truth[path]) for path in photos.paths])


def blobs(count, spread=0.3, seed=0):
    generator = np.random.default_rng(seed)
    classes = generator.integers(4, size=count)
    return (3 * np.eye(16)[classes] + spread * generator.normal(size=(count, 16))).astype(np.float32), classes


def test_only_photos_inside_of_the_folder_are_photos(photos):
    assert len(photos) == PHOTOS + 1 and HOSTILE in photos.paths
    reasons = dict(photos.report.skipped)
    assert set(reasons) == {"broken.png", "outside.png"}
    assert "outside of the folder" in reasons["outside.png"]


def test_a_photo_that_becomes_a_link_to_the_outside_is_not_given_out(tmp_path, digits):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes((digits.folder / "00000.png").read_bytes())
    photos = PhotoFolder(folder)
    assert photos.picture(0)[8:12] == b"WEBP"
    (folder / "a.png").unlink()
    (folder / "a.png").symlink_to("/etc/hostname")
    for give in (photos.file, photos.picture, photos.thumbnail):
        with pytest.raises(UserError, match="outside"):
            give(0)
    with pytest.raises(UserError, match="no photo 2"):
        photos.file(2)
    (folder / "b.png").unlink()
    assert photos.thumbnail(1)[8:12] == b"WEBP"  # grey
    with pytest.raises(UserError, match="cannot be read any more"):
        photos.picture(1)


def test_the_index_computes_only_what_is_new(tmp_path, digits):
    folder, session = tmp_path / "photos", tmp_path / "session"
    folder.mkdir()
    session.mkdir()
    content = [(digits.folder / f"{number:05}.png").read_bytes() for number in range(4)]
    for number in range(3):
        (folder / f"{number}.png").write_bytes(content[number])
    first = open_index(session, digits.model, PhotoFolder(folder))
    (folder / "0.png").unlink()
    (folder / "2.png").write_bytes(content[3])
    os.utime(folder / "2.png", (1, 1))
    (folder / "3.png").write_bytes(content[2])
    done = []
    second = open_index(session, digits.model, PhotoFolder(folder), done.append)
    assert done == [1, 3]  # 1.png was there
    np.testing.assert_array_equal(second.features[0], first.features[1])
    np.testing.assert_array_equal(second.features[2], first.features[2])
    assert not np.array_equal(second.features[1], first.features[2])
    again = open_index(session, digits.model, PhotoFolder(folder), done.append)
    assert done[2:] == [3] and np.array_equal(again.features, second.features)
    for name, content in (("photos.stamps.json", b"[]"), ("photos.index", b"half")):
        (session / name).write_bytes(content)
        done.clear()
        again = open_index(session, digits.model, PhotoFolder(folder), done.append)
        assert done == [0, 3] and np.array_equal(again.features, second.features)


def test_the_map_keeps_clusters_together_and_is_kept(tmp_path):
    features, classes = blobs(200)
    layout = open_layout(tmp_path / "layout.npz", features)
    assert layout.positions.min() >= 0 and layout.positions.max() <= 1
    distances = np.linalg.norm(layout.positions[:, np.newaxis] - layout.positions, axis=2) + np.eye(200) * 9
    assert np.mean(classes[distances.argmin(axis=1)] == classes) > 0.98
    assert all(len(np.unique(classes[layout.clusters == cluster])) == 1 for cluster in np.unique(layout.clusters))
    again = open_layout(tmp_path / "layout.npz", features)
    np.testing.assert_array_equal(again.positions, layout.positions)
    whole = (tmp_path / "layout.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"half", whole[: len(whole) // 2], bytes(flipped)):
        (tmp_path / "layout.npz").write_bytes(damaged)
        np.testing.assert_array_equal(open_layout(tmp_path / "layout.npz", features).positions, layout.positions)
    assert (tmp_path / "layout.npz").read_bytes() == whole


@pytest.mark.parametrize("count", [1, 2, 4, 6, 12])
def test_few_or_equal_photos_have_a_map_too(count):
    for features in (blobs(count)[0], np.ones((count, 8), np.float32)):
        layout = lay_out(features)
        assert layout.positions.shape == (count, 2) and np.isfinite(layout.positions).all()
        assert layout.neighbours.shape == (count, min(30, count - 1))


def test_neighbours_are_those_of_a_plain_search():
    features, _ = blobs(60)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T - 9 * np.eye(60)
    neighbours, found = nearest_others(features, 5)
    np.testing.assert_allclose(found, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosines, neighbours, 1), found, atol=1e-6)


def test_copies_lead_the_near_duplicates(photos, index):
    layout = lay_out(index.features)
    pairs = finding.near_duplicates(layout, [photos.root / path for path in photos.paths], 20)
    assert {photos.paths[pairs[0].first], photos.paths[pairs[0].second]} == {HOSTILE, "00007.png"}
    assert pairs[0].identical and not any(pair.identical for pair in pairs[1:])
    cosines = [pair.cosine for pair in pairs[1:]]
    assert cosines == sorted(cosines, reverse=True)


def test_what_lies_far_from_all_others_is_an_outlier():
    features, _ = blobs(100)
    features[17] = -features.mean(axis=0)
    assert finding.outliers(lay_out(features), 5)[0].photo == 17


@pytest.mark.parametrize("kind", finding.MEASURES)
def test_similar_photos_are_of_the_same_class(index, classes, kind):
    right = [
        classes[hit.photo] == classes[photo]
        for photo in range(0, PHOTOS, 8)
        for hit in finding.similar(index, index.features[photo], kind, 5, without=photo)
    ]
    assert np.mean(right) > 0.5  # of ten classes, by a network with random weights
    with pytest.raises(UserError, match="by cosine or code"):
        finding.similar(index, index.features[0], "taste", 5)


def labels_of(classes, photos, source="picked"):
    return {f"{photo}.png": Label(int(classes[photo]) + 1, source) for photo in photos}


def test_predictions_come_from_few_labels_and_accuracy_from_others():
    features, classes = blobs(400)
    numbers = {f"{photo}.png": photo for photo in range(400)}
    labels = labels_of(classes, range(40))
    labelled = labelled_photos(labels | {"gone.png": Label(1, "picked")}, numbers, NAMES)
    assert labelled.enough and labelled.class_ids == (1, 2, 3, 4)
    for place in range(4):
        of_class = labelled.held_out[labelled.classes == place]
        assert of_class.sum() == max(1, round(0.2 * len(of_class)))
    predictions = predict(features, labelled)
    assert np.mean(predictions.classes == classes) > 0.97
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, rtol=1e-5)
    accuracy = measure(features, labelled)
    assert not accuracy.unbiased and set(accuracy.photos) == set(labelled.photos[labelled.held_out])
    report = accuracy.as_dict()
    assert report["overall"]["count"] == labelled.held_out.sum() == sum(map(sum, report["confusion"]))
    assert sorted(functools.reduce(operator.iadd, report["cells"].values(), [])) == sorted(accuracy.photos)


def test_random_checks_alone_measure_and_are_not_trained_on():
    features, classes = blobs(400)
    wrong = (classes + 1) % 4  # so that training on the checks would show
    numbers = {f"{photo}.png": photo for photo in range(400)}
    labels = labels_of(classes, range(40)) | labels_of(wrong, range(40, 60), "check")
    labelled = labelled_photos(labels, numbers, NAMES)
    assert labelled.held_out[labelled.checks].all()
    accuracy = measure(features, labelled)
    assert accuracy.unbiased and set(accuracy.photos) == set(range(40, 60))
    assert accuracy.as_dict()["overall"]["right"] == 0


def test_random_checks_of_classes_that_are_not_trained_on_count_as_wrong():
    features, classes = blobs(400)
    numbers = {f"{photo}.png": photo for photo in range(400)}
    ants_and_bees = [photo for photo in range(40) if classes[photo] < 2]
    labels = labels_of(classes, ants_and_bees) | labels_of(classes, range(40, 400), "check")
    labels |= {f"{(classes == 2).argmax()}.png": Label(3, "picked")}  # one is too few
    labelled = labelled_photos(labels, numbers, NAMES | {5: "elk"})
    assert labelled.class_ids == (1, 2) and set(labelled.untrained) == {3, 4, 5}
    accuracy = measure(features, labelled)
    report, known = accuracy.as_dict(), int((classes[40:] < 2).sum())
    assert accuracy.unbiased and sorted(accuracy.photos) == list(range(40, 400))
    assert report["overall"]["count"] == 360 and 0.95 * known < report["overall"]["right"] <= known < 200
    assert report["rows"] == (1, 2, 3, 4) and report["class_ids"] == (1, 2) and report["untrained"] == (3, 4, 5)
    assert [sum(row) for row in report["confusion"]] == np.bincount(classes[40:]).tolist()
    assert [len(row) for row in report["confusion"]] == [2] * 4
    assert report["per_class"][4]["right"] == 0 and report["per_class"][4]["count"] == (classes[40:] == 3).sum()
    assert {classes[photo] for given in (1, 2) for photo in report["cells"].get(f"3-{given}", ())} == {2}
    words = taking_home.accuracy_in_words(accuracy)
    assert words.startswith(f"{report['overall']['right']} of 360 (95 % interval ")
    assert "of the photos that had no label when they were drawn" in words
    assert words.endswith("too few labels to train on: cow, dog, elk, whose checks count as wrong)")


def test_checks_of_classes_that_are_not_trained_on_alone_are_measured():
    features, classes = blobs(400)
    numbers = {f"{photo}.png": photo for photo in range(400)}
    others = [photo for photo in range(60) if classes[photo] > 1][:7]
    labels = labels_of(classes, [photo for photo in range(40) if classes[photo] < 2])
    accuracy = measure(features, labelled_photos(labels, numbers, NAMES))
    assert not accuracy.unbiased and accuracy.as_dict()["rows"] == (1, 2)
    assert taking_home.accuracy_in_words(accuracy).endswith(
        "not a random sample; too few labels to train on: cow, dog)"
    )
    accuracy = measure(features, labelled_photos(labels | labels_of(classes, others, "check"), numbers, NAMES))
    assert accuracy.unbiased and accuracy.overall()["right"] == 0 and accuracy.overall()["count"] == 7


def test_too_few_labels_give_no_predictions():
    numbers = {f"{photo}.png": photo for photo in range(9)}
    assert not labelled_photos({}, numbers, NAMES).enough
    assert not labelled_photos(labels_of([0, 0, 1], range(3)), numbers, NAMES).enough
    labelled = labelled_photos(labels_of([0, 0, 1, 1], range(4)), numbers, NAMES)
    assert labelled.enough and measure(blobs(9)[0], labelled) is None


@pytest.mark.parametrize("right, count, low, high", [(0, 0, 0, 1), (0, 10, 0, 0.2775), (9, 10, 0.5958, 0.9821)])
def test_wilson_interval(right, count, low, high):
    np.testing.assert_allclose(wilson_interval(right, count), (low, high), atol=1e-4)


def plain_badge(features, probabilities, open_photos):
    """Squared distances between gradient embeddings, made in full."""
    x, p = features[open_photos], probabilities[open_photos]
    residual = p - np.eye(p.shape[1])[p.argmax(axis=1)]
    gradients = np.einsum("nc,nd->ncd", residual, x).reshape(len(x), -1)
    return ((gradients[:, np.newaxis] - gradients) ** 2).sum(axis=2), (gradients**2).sum(axis=1)


def test_badge_starts_at_the_largest_gradient_and_spreads():
    features, _classes = blobs(80)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 80)
    labelled = np.arange(10)
    open_photos = np.arange(10, 80)
    distances, lengths = plain_badge(features, probabilities, open_photos)
    chosen = suggesting.badge(features, probabilities, labelled, 12, seed=3)
    assert len(set(chosen)) == 12 and not set(chosen) & set(labelled)
    assert chosen[0] == open_photos[lengths.argmax()]
    places = np.searchsorted(open_photos, chosen)
    spread = lambda some: np.mean([distances[np.ix_([a], [b for b in some if b != a])].min() for a in some])  # noqa: E731
    random = [spread(generator.choice(70, 12, replace=False)) for _ in range(50)]
    assert spread(places) > np.percentile(random, 90)


def test_typiclust_covers_all_clusters_before_it_repeats_one():
    features, classes = blobs(200, spread=0.1)
    first = suggesting.typiclust(features, np.zeros(0, int), 4)
    assert sorted(classes[first]) == [0, 1, 2, 3]
    more = suggesting.typiclust(features, first, 250)
    assert len(more) == 196 and not set(more) & set(first)


def plain_typicality(points):
    """Inverse mean of the 20 smallest of all distances to others."""
    distances = np.sqrt(((points[:, np.newaxis].astype(float) - points) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    k = min(20, len(points) - 1)
    return 1 / (np.sort(distances, axis=1)[:, :k].mean(axis=1) + 1e-12)


@pytest.mark.parametrize("count, dimensions", [(2, 3), (15, 32), (21, 32), (200, 2), (200, 32)])
def test_typicality_is_that_of_all_pairs(count, dimensions):
    points = np.random.default_rng(0).normal(size=(count, dimensions)).astype(np.float32)
    np.testing.assert_allclose(suggesting._typicality(points), plain_typicality(points), rtol=1e-5)


def test_equal_and_single_points_are_typical_too():
    np.testing.assert_array_equal(suggesting._typicality(np.zeros((1, 4), np.float32)), 1)
    equal = suggesting._typicality(np.ones((30, 4), np.float32))
    assert np.isfinite(equal).all() and len(np.unique(equal)) == 1


def test_the_memory_of_typicality_does_not_grow_with_the_square():
    points = np.random.default_rng(0).normal(size=(4000, 32)).astype(np.float32)
    suggesting._typicality(points[:50])  # modules are imported now
    tracemalloc.start()
    suggesting._typicality(points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6  # all pairs: 64 MB of float32


def test_margin_clusters_takes_uncertain_photos():
    features, classes = blobs(200)
    probabilities = np.full((200, 4), 0.01)
    probabilities[np.arange(200), classes] = 0.97
    probabilities[:60] = 0.25
    chosen = suggesting.margin_clusters(features, probabilities, np.arange(5), 6)
    assert len(set(chosen)) == 6 and all(5 <= photo < 60 for photo in chosen)


@pytest.mark.parametrize("form", exporting.FORMS)
def test_the_exported_tree_is_read_as_the_same_labels(tmp_path, photos, classes, digits, form):
    chosen = np.flatnonzero(classes < 3)[:30]
    names = {1: "zero", 2: "one & two", 3: "日本"}
    labels = {photos.paths[photo]: Label(int(classes[photo]) + 1, "picked") for photo in chosen}
    labels[HOSTILE] = Label(1, "picked")
    labelled = labelled_photos(labels, photos.numbers, names)
    tree = tmp_path / "labels"
    assert exporting.write_tree(tree, photos, labelled, form) == len(labels)
    exporting.write_tree(tree, photos, labelled, form)  # again, in its place
    read = {}
    for split in ("train", "test"):
        source = load_source(DataSettings(dataset=f"folder:{tree}"), split, tmp_path)
        for path, label in zip(source.paths, source.labels, strict=True):
            read[path.split("/")[-1].replace("%2F", "/").replace("%25", "%")] = source.class_names[label]
    assert read == {path: names[label.class_id] for path, label in labels.items()}
    exporting.write_csv(tmp_path / "labels.csv", labels, names)
    with open(tmp_path / "labels.csv", newline="", encoding="utf-8") as file:
        assert {row["path"]: row["class"] for row in csv.DictReader(file)} == read


def test_a_folder_of_others_is_not_replaced(tmp_path, photos, classes):
    chosen = np.flatnonzero(classes < 2)[:10]
    labels = {photos.paths[photo]: Label(int(classes[photo]) + 1, "picked") for photo in chosen}
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not written by this program"):
        exporting.write_tree(tmp_path / "labels", photos, labelled_photos(labels, photos.numbers, {1: "a", 2: "b"}))
    assert (tmp_path / "labels" / "mine.txt").read_text() == "keep"


def test_a_tree_is_replaced_only_by_a_whole_one(tmp_path, photos, classes, monkeypatch):
    chosen = np.flatnonzero(classes < 2)[:10]
    labels = {photos.paths[photo]: Label(int(classes[photo]) + 1, "picked") for photo in chosen}
    labelled = labelled_photos(labels, photos.numbers, {1: "a", 2: "b"})
    tree = tmp_path / "labels"
    exporting.write_tree(tree, photos, labelled, "copies")
    before, copyfile, copied = sorted(tree.rglob("*")), shutil.copyfile, []

    def until_full(source, target):
        copied.append(target)
        if len(copied) > 4:
            raise OSError(28, "No space left on device")
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", until_full)
    with pytest.raises(DiskFull, match="the disk is full: .* are free"):
        exporting.write_tree(tree, photos, dataclasses.replace(labelled, names={1: "c", 2: "d"}), "copies")
    assert sorted(tree.rglob("*")) == before and [path.name for path in tmp_path.iterdir()] == ["labels"]


@pytest.fixture
def atlas(digits, photos, index, tmp_path):
    """With the classes two, zero and one; ten labels of zero and of one."""
    made = Atlas(Settings(digits.model, digits.folder, tmp_path / "session"), Progress())
    made._photos, made._index, made._run = photos, index, digits.run
    made.store.add_class("two")
    for name, digit in (("zero", "0"), ("one", "1")):
        made.store.label(ten_of(digits, digit), made.store.add_class(name))
    yield made
    made.close()


def ten_of(digits, digit):
    return [path for path, truth in sorted(digits.truth.items()) if truth == digit][:10]


def while_fitting(monkeypatch, change):
    """Let something happen while the next classifier is fitted."""
    fit = predicting.fit_linear

    def fit_meanwhile(*arguments, **options):
        monkeypatch.setattr(predicting, "fit_linear", fit)
        change()
        return fit(*arguments, **options)

    monkeypatch.setattr(predicting, "fit_linear", fit_meanwhile)


@pytest.mark.parametrize("asked", ["predictions", "accuracy"])
def test_labels_set_while_a_classifier_is_fitted_count_from_the_next_one_on(atlas, digits, monkeypatch, asked):
    two, zero, one = atlas.store.classes()
    while_fitting(monkeypatch, lambda: atlas.store.label(ten_of(digits, "2"), two))
    before = getattr(atlas, asked)().labelled
    assert before.class_ids == (zero, one) and len(before.photos) == 20
    assert getattr(atlas, asked)().labelled.class_ids == (two, zero, one)


def test_suggestions_are_of_one_revision(atlas, digits, monkeypatch):
    two, asked, revision = next(iter(atlas.store.classes())), [], atlas.store.revision

    def suggested(*arguments):
        asked.extend(arguments)
        return np.arange(3), "rule"

    monkeypatch.setattr(suggesting, "suggested", suggested)
    while_fitting(monkeypatch, lambda: atlas.store.label(ten_of(digits, "2"), two))
    assert atlas.suggestions(3) == ([0, 1, 2], "rule")
    probabilities, has_label, seed = asked[2], asked[3], asked[-1]
    assert probabilities.shape[1] == 2 and len(has_label) == 20 and seed == revision


@pytest.mark.parametrize("change", ["label", "rename", "remove"])
def test_an_exported_classifier_has_the_class_names_of_its_own_labels(atlas, digits, monkeypatch, change):
    two, zero, _one = atlas.store.classes()
    changes = {
        "label": lambda: atlas.store.label(ten_of(digits, "2"), two),
        "rename": lambda: atlas.store.rename_class(zero, "nought"),
        "remove": lambda: atlas.store.remove_class(zero),
    }
    while_fitting(monkeypatch, changes[change])

    def convert(folder, output, *arguments, **options):
        output.write_bytes(b"converted")
        return SimpleNamespace(parity="equal")

    monkeypatch.setattr(sys.modules["bssl_tf.deploy.export"], "export", convert)
    assert atlas.export_classifier()["parity"] == "equal"
    written = json.loads((atlas.exports / "classifier" / "classifier.json").read_text())
    assert written["class_names"] == ["zero", "one"]
    assert written["facts"]["labelled images"] == 20 and " of 4 (95 %" in written["facts"]["held-out accuracy"]
