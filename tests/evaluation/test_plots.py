import numpy as np
import pytest
from PIL import Image

from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.evaluation.labelled_data import labelled
from bssl_tf.evaluation.neighbours import queries_of, write_neighbours
from bssl_tf.evaluation.plots import map_of, plot_accuracy, plot_confusion, plot_maps
from bssl_tf.evaluation.protocols.base import Score
from bssl_tf.evaluation.results import summarise

GREEN, RED = (0, 128, 0), (255, 0, 0)


def rows(*scores):
    return summarise([{"network": "a", "data_name": "d", "scores": [score.as_dict() for score in scores]}])


def test_accuracy_is_drawn_over_labels_where_there_are_several(tmp_path):
    one = rows(Score("20-NN", 0.9, 100))
    assert not plot_accuracy(tmp_path / "a.png", "d", one) and not list(tmp_path.iterdir())
    several = rows(Score("linear", 0.9, 100), Score("linear", 0.5, 10, "10 %"), Score("linear", 0.6, 10, "10 %"))
    assert plot_accuracy(tmp_path / "a.png", "d", several)
    assert Image.open(tmp_path / "a.png").size[0] > 400


def test_a_map_keeps_apart_what_is_apart(tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = 10 * np.eye(3, 8)[labels] + random.normal(size=(90, 8))
    points = map_of(features)
    centres = np.stack([points[labels == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    assert points.shape == (90, 2) and (nearest == labels).mean() > 0.95
    plot_maps(tmp_path / "map.png", "d", {"a": points, "b": points[::-1]}, labels, ["x", "y", "z"])
    plot_confusion(tmp_path / "confusion.png", "d", {"a": [[5, 1], [0, 3]]}, ["x", "y"])
    colours = {
        name: len(np.unique(np.asarray(Image.open(tmp_path / name)).reshape(-1, 4), axis=0))
        for name in ("map.png", "confusion.png")
    }
    assert all(count > 20 for count in colours.values())


def source(labels, seed):
    images = np.random.default_rng(seed).integers(0, 100, (len(labels), 8, 8, 1)).astype(np.uint8)
    return ArraySource("toy", images, np.array(labels), ["x", "y"])


@pytest.mark.parametrize("right", [True, False])
def test_neighbours_are_framed_by_their_class(tmp_path, right):
    data = labelled("toy", source([0] * 9 + [1] * 9, 0), source([1, 1, 0, 0, 0], 1))
    assert queries_of(data).tolist() == [2, 0, 3, 1, 4]
    directions = np.eye(2)
    train_x = directions[data.train_labels]
    test_x = directions[data.test_labels if right else 1 - data.test_labels]
    write_neighbours(tmp_path / "sheet.png", train_x, test_x, data, (8, 1))
    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    found = {colour: (pixels == colour).all(axis=-1).sum() for colour in (GREEN, RED)}
    frame = 118**2 - 112**2
    assert found == ({GREEN: 40 * frame, RED: 0} if right else {GREEN: 0, RED: 40 * frame})


def test_names_of_files_are_drawn_as_they_are(tmp_path):
    names = ["caf\udce9", "$x_{$ 5$", "日本"]
    matrices = {"a\udcff.tflite": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "$\\frac$": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
    plot_confusion(tmp_path / "a.png", "folder \udce9 $\\", matrices, names)
    points = {name: np.zeros((3, 2)) for name in matrices}
    plot_maps(tmp_path / "b.png", "$ \udce9 $", points, np.arange(3), names)
    assert (tmp_path / "a.png").exists() and (tmp_path / "b.png").exists()
