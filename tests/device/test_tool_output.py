"""The texts are in the format of TensorFlow Lite's benchmark tool, as logs in TensorFlow's issues 42507 (with a column
[start]) and 62775 (without, behind "INFO: ") show it; their lines are shortened and their numbers made up."""

from pathlib import Path

import pytest

from bssl_tf.device.tool_output import UnreadableOutput, parse

HERE = Path(__file__).parent


def test_timings_are_milliseconds():
    run = parse((HERE / "plain.txt").read_text())
    assert (run.start, run.first, run.warm_up, run.mean) == pytest.approx((18.777, 64.791, 57.7582, 55.0432))
    assert (run.fastest, run.slowest, run.deviation, run.repeats) == pytest.approx((53.077, 60.727, 1.562, 50))
    assert run.operators == ()


@pytest.mark.parametrize("version", ["profiled.txt", "profiled_2024.txt"])
def test_operators_in_both_layouts_of_the_table(version):
    run = parse((HERE / version).read_text())
    kinds = [operator.kind for operator in run.operators]
    assert kinds == ["CONV_2D", "LceQuantize", "LceBconv2d", "LceBconv2d", "MEAN"]
    assert run.operators[2].name == "model/batch_normalization/FusedBatchNormV3"
    assert run.operators[3].name == "model/a;model/b" and run.operators[3].milliseconds == 20.5
    assert list(run.milliseconds_by_kind.items())[:2] == [("LceBconv2d", 40.0), ("CONV_2D", 11.75)]
    assert run.mean == 55.0432


def test_one_repeat_has_no_spread():
    text = (HERE / "plain.txt").read_text().replace(" first=58154 curr=53809 min=53077 max=60727", " curr=53809")
    run = parse(text.replace("count=50", "count=1").replace(" avg=55043.2 std=1562", " avg=53809"))
    assert (run.repeats, run.fastest, run.slowest, run.deviation) == (1, 53.809, 53.809, 0.0)


def test_output_that_ends_early_is_told():
    with pytest.raises(UnreadableOutput):
        parse("STARTING!\nLoaded model x.tflite\nSegmentation fault\n")


def test_a_table_of_another_form_is_told():
    text = (HERE / "profiled.txt").read_text().replace("[avg ms]", "[mean ms]")
    with pytest.raises(UnreadableOutput, match="no column avg ms"):
        parse(text)
