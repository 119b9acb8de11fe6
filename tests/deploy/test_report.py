import dataclasses
import hashlib
import json

import pytest

from bssl_tf.deploy import compare, deployment_plan, inspect_file, make_report
from bssl_tf.deploy.report import differences

COMMAND = "python convert.py --workdir=runs/a | tee log"


def write(path, *arguments, **more):
    """The report beside a file; returns what the .json holds."""
    content, text = make_report(path.name, path.read_bytes(), *arguments, **more)
    path.with_suffix(".json").write_text(json.dumps(content))
    path.with_suffix(".md").write_text(text)
    return content


@pytest.fixture
def written(tmp_path, plain, plain_file, grey_images):
    path = tmp_path / "model.tflite"
    path.write_bytes(plain_file)
    parity = compare(plain, plain_file, [grey_images])
    write(path, inspect_file(plain_file), deployment_plan(plain), parity, COMMAND, {"image_size": 8})
    return path


def test_json_holds_what_was_measured(written, plain, plain_file):
    content = json.loads(written.with_suffix(".json").read_text())
    assert content["sha256"] == hashlib.sha256(plain_file).hexdigest() and content["bytes"] == len(plain_file)
    assert content["operators"]["LceBconv2d"] == 3
    assert sum(content["constant_bytes"].values()) + content["name_bytes"] + content["structure_bytes"] == len(
        plain_file
    )
    assert content["plan"]["binary_macs"] == deployment_plan(plain).binary_macs
    assert content["parity"]["ok"] is True and content["parity"]["images"] == 32
    assert content["inputs"][0]["name"] == "pixels" and content["outputs"][0]["shape"] == [1, 48]
    assert content["command"] == COMMAND and content["extra"] == {"image_size": 8}
    assert content["versions"]["larq-compute-engine"] and content["differences_to_plan"] == []


def test_markdown_reads_well(written, plain_file):
    text = written.with_suffix(".md").read_text()
    assert text.startswith("# model.tflite\n") and COMMAND in text
    assert "| LceBconv2d | 3 |" in text and f"**{len(plain_file):,}**" in text
    assert "Yes: " in text and "| image_size | 8 |" in text
    assert "| input | `pixels` | float32 | 1×8×8×1 |" in text


def test_folding_is_shown_beside_what_it_saves(tmp_path, plain, plain_file, residual_file):
    path = tmp_path / "model.tflite"
    path.write_bytes(plain_file)
    reports = inspect_file(plain_file), inspect_file(residual_file)
    options = dict(unfolded=reports[1].operators, fewest_bytes=12345)
    content = write(path, reports[0], deployment_plan(plain), None, COMMAND, **options)
    text = path.with_suffix(".md").read_text()
    assert content["operators_unfolded"] == reports[1].operators and content["fewest_bytes"] == 12345
    assert "| LceBconv2d | 3 | 4 |" in text and "| PRELU | 0 | 2 |" in text and "| 12,345 |" in text
    totals = [sum(report.operators.values()) for report in reports]
    assert f"| **all** | **{totals[0]}** | **{totals[1]}** |" in text


def test_a_file_of_fewer_bits_is_compared_with_its_plan_as_it_was_before(tmp_path, plain, plain_file):
    path = tmp_path / "model.tflite"
    path.write_bytes(plain_file)
    reports = [dataclasses.replace(inspect_file(plain_file), file_bytes=size) for size in (10, len(plain_file))]
    content = write(path, reports[0], deployment_plan(plain), None, COMMAND, unrounded=reports[1])
    assert content["differences_to_plan"] == []
    assert write(path, reports[0], deployment_plan(plain), None, COMMAND)["differences_to_plan"]


def test_a_file_unlike_its_plan_is_told(residual, plain_file):
    told = differences(inspect_file(plain_file), deployment_plan(residual))
    assert "4 binary convolutions, the file has 3" in told[0] and "off the projected size" in told[1]
