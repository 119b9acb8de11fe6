"""Average precision against a naive version that matches detections one by one."""

import numpy as np
import pytest

from bssl_tf.detection.annotations import AnnotationReport, Annotations, RawImage, clean
from bssl_tf.detection.scores import Found, score

SIZE = (100, 200)


def annotated(random, images: int = 12, classes: int = 3, ignored_share: float = 0.0) -> Annotations:
    raw = []
    for number in range(images):
        count = int(random.integers(0, 5))
        corners = random.uniform(0, 1, (count, 2)) * [50, 120]
        boxes = np.concatenate([corners, corners + random.uniform(8, 50, (count, 2))], axis=1)
        ignored = random.random(count) < ignored_share
        raw.append(RawImage(str(number), *SIZE, boxes, random.integers(0, classes, count), ignored))
    return clean([f"class {n}" for n in range(classes)], raw, AnnotationReport("test"))


def noisy(annotations: Annotations, random) -> list[Found]:
    """Most objects found a bit off, some twice, some with the wrong class, and some that are not there."""
    found = []
    for image in range(annotations.num_images):
        boxes, classes, _ = annotations.of_image(image)
        twice = np.concatenate([boxes, boxes[: len(boxes) // 2], random.uniform(0, 1, (2, 4))])
        twice[-2:, 2:] = np.maximum(twice[-2:, 2:], twice[-2:, :2] + 0.05)
        labels = np.concatenate([classes, classes[: len(boxes) // 2], [0, 1]])
        labels = np.where(random.random(len(labels)) < 0.15, random.integers(0, 3, len(labels)), labels)
        moved = twice + random.normal(0, 0.02, twice.shape)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 0.02)
        found.append(Found(moved, random.permutation(np.arange(len(labels)) / 97 + image / 9973), labels))
    return found


def overlap(a, b) -> float:
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(height, 0) * max(width, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def naive_ap(annotations, found, label: int, threshold: float, recalls) -> float:
    objects = {
        image: [box for box, own in zip(*annotations.of_image(image)[:2], strict=True) if own == label]
        for image in range(annotations.num_images)
    }
    detections = sorted(
        (-each.scores[place], image, each.boxes[place])
        for image, each in enumerate(found)
        for place in np.flatnonzero(each.classes == label)
    )
    hits = []
    for _, image, box in detections:
        overlaps = [overlap(box * np.tile(SIZE, 2), own * np.tile(SIZE, 2)) for own in objects[image]]
        best = int(np.argmax(overlaps)) if overlaps else 0
        hit = bool(overlaps) and overlaps[best] >= threshold
        if hit:
            objects[image].pop(best)
        hits.append(hit)
    total = sum(map(len, objects.values())) + sum(hits)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    recall = np.cumsum(hits) / total
    return float(np.mean([precision[recall >= least].max(initial=0) for least in recalls]))


def test_scores_are_those_of_the_naive_version():
    random = np.random.default_rng(0)
    annotations = annotated(random)
    found = noisy(annotations, random)
    result = score(annotations, found)
    thresholds, recalls = np.arange(50, 100, 5) / 100, np.linspace(0, 1, 101)
    table = np.array([[naive_ap(annotations, found, c, t, recalls) for t in thresholds] for c in range(3)])
    assert 0.05 < table.mean() < 0.95  # else nothing would be compared
    assert result.ap == pytest.approx(table.mean(), abs=1e-6)
    assert result.ap50 == pytest.approx(table[:, 0].mean(), abs=1e-6)
    assert result.ap75 == pytest.approx(table[:, 5].mean(), abs=1e-6)
    assert [each.ap for each in result.by_class] == pytest.approx(table.mean(1).tolist(), abs=1e-6)
    eleven = [naive_ap(annotations, found, c, 0.5, np.arange(11) / 10 - 1e-9) for c in range(3)]
    assert [each.voc_ap50 for each in result.by_class] == pytest.approx(eleven, abs=1e-6)
    assert result.voc_ap50 == pytest.approx(np.mean(eleven), abs=1e-6)


def test_truth_itself_scores_1_and_nothing_scores_0():
    annotations = annotated(np.random.default_rng(1), ignored_share=0.3)
    parts = [annotations.of_image(image) for image in range(annotations.num_images)]
    perfect = [Found(boxes, np.ones(len(boxes)), classes) for boxes, classes, _ in parts]
    assert score(annotations, perfect).ap == pytest.approx(1.0)
    empty = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)) for _ in perfect]
    nothing = score(annotations, empty)
    assert nothing.ap == 0.0 and nothing.voc_ap50 == 0.0
    assert nothing.objects == int((~annotations.ignored).sum()) < len(annotations.classes)


def test_ignored_objects_are_neither_hits_nor_misses():
    annotations = annotated(np.random.default_rng(2), ignored_share=0.4)
    parts = [annotations.of_image(image) for image in range(annotations.num_images)]
    learned = [Found(b[~ignored], np.ones((~ignored).sum()), c[~ignored]) for b, c, ignored in parts]
    assert score(annotations, learned).ap == pytest.approx(1.0)  # not found: no miss
    assert annotations.ignored.any()


@pytest.mark.parametrize(("crowd", "ap50"), [(False, 0.5), (True, 1.0)])
def test_what_lies_in_a_crowd_is_no_miss_but_what_touches_a_difficult_object_is(crowd, ap50):
    boxes = np.array([[0, 0, 90, 90], [0, 150, 40, 190]], float)  # one ignored, one to be found
    raw = RawImage("a", *SIZE, boxes, np.zeros(2, int), np.array([True, False]), np.array([crowd, False]))
    annotations = clean(["class"], [raw], AnnotationReport("test"))
    within = np.array([[10, 10, 28, 28], [0, 150, 40, 190]]) / np.tile(SIZE, 2)  # an IoU of 0.04 with the ignored one
    result = score(annotations, [Found(within, np.array([0.9, 0.8]), np.zeros(2, int))])
    assert result.ap50 == pytest.approx(ap50)  # the first detection is a false one, or none


def test_sizes_are_those_of_the_objects_where_they_are_listed():
    box = np.array([[0, 0, 40, 40], [50, 50, 90, 90]], float)  # the second one's size is not listed
    raw = RawImage("a", *SIZE, box, np.zeros(2, int), np.zeros(2, bool), None, np.array([900.0, np.nan]))
    annotations = clean(["class"], [raw], AnnotationReport("test"))
    assert annotations.areas.tolist() == [900.0, 1600.0]
    result = score(annotations, [Found(annotations.of_image(0)[0][:1], np.ones(1), np.zeros(1))])
    assert result.ap_small == pytest.approx(1.0) and result.ap_medium == 0.0


def test_sizes_count_pixels_of_the_original_image():
    box = np.array([[0, 0, 20, 20]], float)  # small: below 32²
    raw = [RawImage("a", *SIZE, box, np.zeros(1, int), np.zeros(1, bool))]
    annotations = clean(["class"], raw, AnnotationReport("test"))
    result = score(annotations, [Found(*annotations.of_image(0)[:1], np.ones(1), np.zeros(1))])
    assert result.ap_small == pytest.approx(1.0) and result.ap_medium is None and result.ap_large is None
