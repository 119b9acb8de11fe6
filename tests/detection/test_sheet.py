"""Which boxes of the sheet are right, missed and wrong, and that they are drawn in their colours."""

import numpy as np
from PIL import Image

from bssl_tf.detection.annotations import AnnotationReport, RawImage, clean
from bssl_tf.detection.scores import Found
from bssl_tf.detection.sheet import MISSED, RIGHT, WRONG, judge, write_sheet

OBJECTS = np.array([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.8, 0.8], [0.1, 0.6, 0.3, 0.9], [0.7, 0.1, 0.9, 0.3]])
CLASSES, IGNORED = np.array([0, 1, 1, 0]), np.array([False, False, False, True])
FOUND = Found(
    boxes=np.array([OBJECTS[0], OBJECTS[0], OBJECTS[1], OBJECTS[3], OBJECTS[2], [0.0, 0.0, 0.1, 0.1]]),
    scores=np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.5]),
    classes=np.array([0, 0, 0, 0, 1, 1]),
)


def test_right_missed_and_wrong():
    judged = judge(FOUND, OBJECTS, CLASSES, IGNORED, np.zeros(4, bool))
    assert judged.right == [0]
    assert judged.wrong == [1, 2, 5]  # found twice; another class; nothing there. The ignored object is neither
    assert judged.missed == [1, 2]  # object 2 was found with too low a score


def test_any_number_of_detections_may_lie_in_a_crowd():
    crowd, small = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.6, 0.6]])
    found = Found(small, np.array([0.9, 0.8]), np.array([0, 0]))
    for is_crowd, wrong in ((True, []), (False, [0, 1])):  # a difficult object has to overlap as any other
        judged = judge(found, crowd, np.array([0]), np.array([True]), np.array([is_crowd]))
        assert (judged.right, judged.wrong, judged.missed) == ([], wrong, [])


def test_the_sheet_has_all_three_colours(tmp_path):
    raw = RawImage("a", 100, 100, OBJECTS * 100, CLASSES, IGNORED)
    annotations = clean(("cup", "key"), [raw], AnnotationReport("test"))
    write_sheet(tmp_path / "sheet.png", [np.zeros((64, 64, 1), np.uint8)], [FOUND], annotations)
    colours = {tuple(pixel) for pixel in np.asarray(Image.open(tmp_path / "sheet.png")).reshape(-1, 3)}
    assert {RIGHT, MISSED, WRONG} <= colours
