"""Every student carries a detector, and its raw outputs become objects as a naive version finds them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.deploy.analysis.lint import lint
from bssl_tf.deploy.folding import fold
from bssl_tf.detection.model import NUM_EXTRA, DetectorSpec, build_detector, load_detector, pyramid, save_detector
from bssl_tf.detection.postprocessing import IOU_THRESHOLD, SCORE_THRESHOLD, detector_function, predicted_boxes
from bssl_tf.detection.targets import Grid
from bssl_tf.errors import UserError
from bssl_tf.models import BINARY, FLOAT, BackboneSpec, build_backbone

SMALL = BackboneSpec(name="reactnet_small", image_size=64, channels=1, mean=(100.0,), std=(60.0,), width=32, stages=3)
SPEC = DetectorSpec(SMALL, ("shirt", "shoe", "bag"), neck_channels=32, head_depth=1)


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("reactnet_small", (8, 16)),
        ("reactnet_a", (8, 16, 32)),
        ("quicknet_small", (8, 16, 32)),
        ("binary_resnet_e18", (8, 16, 32)),
        ("resnet18", (8, 16, 32)),  # imported ones are float
    ],
)
def test_students_give_the_feature_maps_that_their_next_stage_reads(name, strides):
    spec = dataclasses.replace(SMALL, name=name, image_size=64, mode=FLOAT if name == "resnet18" else BINARY)
    levels = pyramid(build_backbone(spec))
    assert tuple(levels) == strides
    assert [tensor.shape[1] for tensor in levels.values()] == [64 // stride for stride in strides]


def test_sizes_and_networks_without_the_strides_are_refused():
    with pytest.raises(UserError, match="--image_size=72 is no multiple of 16"):
        build_detector(dataclasses.replace(SPEC, backbone=dataclasses.replace(SMALL, image_size=72)))
    with pytest.raises(UserError, match="no feature map whose stride"):
        build_detector(dataclasses.replace(SPEC, backbone=dataclasses.replace(SMALL, image_size=32, stages=1)))


@pytest.fixture(scope="module")
def detector():
    """With random numbers in all weights, batch norms too, so that no bias is 0 and no factor 1."""
    built, random = build_detector(SPEC), np.random.default_rng(0)
    for weight in built.model.weights:
        values = random.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.name or "gamma" in weight.name else values)
    return built


def test_neck_and_head_are_in_plan_linter_and_folding(detector):
    report = lint(detector.model)
    names = {layer.name for layer in report.plan.layers}
    assert {"lateral0", "smooth1", "head0", "predict"} <= names
    assert report.ok()
    assert sum(layer.name == "head0" for layer in report.plan.layers if layer.binary) == 2  # once a level
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 1)).astype(np.float32)
    np.testing.assert_allclose(
        fold(detector.model)(tf.constant(images)), detector.model(images, training=False), rtol=1e-4, atol=1e-4
    )


def test_a_saved_detector_is_the_same_one(detector, tmp_path):
    save_detector(detector, tmp_path, {"AP": 0.5})
    loaded, facts = load_detector(tmp_path)
    assert loaded.spec == detector.spec and facts == {"AP": 0.5} and loaded.grid == detector.grid
    images = np.full((1, 64, 64, 1), 100.0, np.float32)
    np.testing.assert_array_equal(loaded.model(images), detector.model(images))
    good = (tmp_path / "detector_spec.json").read_text()
    for broken in (
        "{",
        good.replace('"head_depth": 1', '"head_depth": 1000000'),
        good.replace('"shoe"', "7"),
        "[]",
        good.replace("facts", "fact"),
    ):
        (tmp_path / "detector_spec.json").write_text(broken)
        with pytest.raises(
            UserError, match=r"detector_spec.json.*: restore it from a copy, or train the detector again"
        ):
            load_detector(tmp_path)


def naive_objects(grid: Grid, raw: np.ndarray) -> list[tuple]:
    """(score, class, box) of one image by plain greedy suppression within each class."""
    boxes = np.clip(predicted_boxes(grid, tf.constant(raw)).numpy() / grid.image_size, 0, 1)
    classes, centreness = (1 / (1 + np.exp(-part)) for part in (raw[:, :-NUM_EXTRA], raw[:, -1:]))
    scores = np.sqrt(classes * centreness).astype(np.float32)
    order = sorted(np.ndindex(scores.shape), key=lambda place: -scores[place])[:300]
    kept = []
    for position, label in order:
        if scores[position, label] > SCORE_THRESHOLD and all(
            other != label or overlap(boxes[position], box) <= IOU_THRESHOLD for _, other, box in kept
        ):
            kept.append((scores[position, label], label, boxes[position]))
    return kept[:100]


def overlap(a, b) -> float:
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(height, 0) * max(width, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0


def test_objects_are_those_of_the_naive_version():
    grid, random = Grid(64, (8, 16)), np.random.default_rng(0)
    raw = random.normal(-1, 1.5, (3, grid.positions, 3 + NUM_EXTRA)).astype(np.float32)
    inputs = tf.keras.Input(raw.shape[1:])
    found = detector_function(tf.keras.Model(inputs, inputs), grid)(raw)
    for image in range(3):
        expected = naive_objects(grid, raw[image])
        count = int(found.count[image])
        assert count == len(expected) > 20
        np.testing.assert_allclose(found.scores[image, :count], [each[0] for each in expected], atol=1e-6)
        np.testing.assert_array_equal(found.classes[image, :count], [each[1] for each in expected])
        np.testing.assert_allclose(found.boxes[image, :count], [each[2] for each in expected], atol=1e-5)
        assert not np.any(found.scores[image, count:])
