import dataclasses
import io
import subprocess
import sys
import zipfile

import flatbuffers
import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from bssl_tf.deploy import TfliteBackbone, inspect_file
from bssl_tf.deploy.flatbuffer.edit import packed, unpacked
from bssl_tf.deploy.flatbuffer.inspect import METADATA
from bssl_tf.deploy.flatbuffer.reading import read_tables
from bssl_tf.deploy.flatbuffer.tables import write_tables
from bssl_tf.deploy.metadata import FileFacts, MetadataError, attach_metadata, check_metadata, read_metadata

FACTS = FileFacts("residual", "a network for tests", "abc", {"training": {"seed": 0, "dataset": "büro"}, "n": [1.5]})


@pytest.fixture(scope="module")
def described(residual_file):
    labels = {"features": tuple(f"class {number}" for number in range(64))}
    return attach_metadata(residual_file, dataclasses.replace(FACTS, labels=labels))


def test_facts_are_read_back(described):
    facts = read_metadata(described)
    assert facts.provenance == FACTS.provenance and facts.name == "residual"
    assert facts.labels["features"][63] == "class 63"
    with pytest.raises(MetadataError, match="defect"):
        check_metadata(described, FACTS)  # which has no labels


def test_the_network_computes_the_same(described, residual_file, images):
    before, after = (TfliteBackbone(content).features(images) for content in (residual_file, described))
    assert np.array_equal(before, after)


def test_its_bytes_are_accounted_for(described, residual_file):
    plain, report = inspect_file(residual_file), inspect_file(described)
    assert plain.constant_bytes[METADATA] == 0
    added = report.file_bytes - plain.file_bytes
    assert report.constant_bytes[METADATA] == pytest.approx(added, abs=450)  # padding, and where it is


def test_constants_are_aligned_as_the_schema_demands(described):
    model = schema.Model.GetRootAs(described, 0)
    vectors = [model.Buffers(index)._tab for index in range(model.BuffersLength())]
    starts = [tab.Vector(tab.Offset(4)) for tab in vectors if tab.Offset(4)]
    assert starts and all(start % 16 == 0 for start in starts)


def test_unzip_reads_the_attached_files(tmp_path, described):
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        assert archive.testzip() is None and archive.namelist() == ["provenance.json", "labels.txt"]
        assert archive.read("labels.txt").decode().splitlines()[:2] == ["class 0", "class 1"]
    (tmp_path / "m.tflite").write_bytes(described)
    listed = subprocess.run([sys.executable, "-m", "zipfile", "-l", tmp_path / "m.tflite"], capture_output=True)
    assert b"labels.txt" in listed.stdout


def test_names_that_are_no_utf8_are_read_back(residual_file):
    facts = dataclasses.replace(FACTS, provenance={"command": "bssl-convert --workdir=caf\udce9"})
    check_metadata(attach_metadata(residual_file, facts), facts)


def test_new_facts_replace_old_ones(described):
    again = attach_metadata(described, FACTS)
    assert read_metadata(again) == FACTS
    assert [entry.name for entry in unpacked(again).metadata].count(b"TFLITE_METADATA") == 1
    assert attach_metadata(again, FACTS) == again


@pytest.mark.parametrize(
    "labels, words",
    [
        ({"scores": ("a",)}, "labels for the output 'scores', but the file has features"),
        ({"features": ("a", "b")}, "2 labels for the 64 numbers of 'features'"),
        ({"features": ("two\nlines", *"a" * 63)}, r"'two\\nlines'"),
        ({"features": ("caf\udce9", *"a" * 63)}, r"'caf\\udce9': rename that class"),
    ],
)
def test_labels_that_do_not_fit_are_refused(residual_file, labels, words):
    with pytest.raises(MetadataError, match=words):
        attach_metadata(residual_file, dataclasses.replace(FACTS, labels=labels))


def test_a_file_without_facts_and_a_damaged_one_are_told(residual_file, described):
    with pytest.raises(MetadataError, match="has no metadata"):
        read_metadata(residual_file)
    with pytest.raises(MetadataError, match="not whole"):
        read_metadata(packed(unpacked(described)))  # the zip is lost


def test_tables_are_what_flatbuffers_reads():
    fields = {"name": "AllocateTensors", "buffer": 7}
    content = write_tables({"Metadata": ("name:string", "buffer:uint")}, "Metadata", fields, b"TEST")
    entry = schema.Metadata.GetRootAs(content, 0)  # TensorFlow's generated code for a table of the same form
    assert (entry.Name(), entry.Buffer()) == (b"AllocateTensors", 7)
    assert flatbuffers.util.BufferHasIdentifier(content, 0, b"TEST")


def test_every_kind_of_field_comes_back():
    kinds = {
        "Root": ("text:string", "numbers:[float]", "many:[Leaf]", "one:Leaf", "either:Leaf|Root", "small:byte"),
        "Leaf": ("size:uint", "offset:int"),
    }
    leaves = [{"size": 3, "offset": -4}, {"size": 5}]
    values = {"text": "ä", "numbers": [0.5, -1.0], "many": leaves, "one": leaves[0], "small": 2}
    values["either"] = ("Root", {"text": "inner"})
    found = read_tables(kinds, "Root", write_tables(kinds, "Root", values, b"TEST"))
    assert {**found, "numbers": found["numbers"].tolist()} == values
    with pytest.raises(KeyError, match="Leaf has no field weight"):
        write_tables(kinds, "Root", {"one": {"weight": 1}}, b"TEST")
