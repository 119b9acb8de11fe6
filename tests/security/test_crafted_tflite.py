"""A .tflite file of somebody else crashes nothing, and costs bounded time and memory, at every entry."""

import io
import resource
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.tflite_mutations import mutation
from bssl_tf.deploy import TfliteBackbone, TfliteFileError, interpreter, interpreter_process
from bssl_tf.deploy.benchmark import benchmark
from bssl_tf.deploy.description import describe
from bssl_tf.deploy.flatbuffer import archive, inspect, reading
from bssl_tf.deploy.interpreter_process import InterpreterCrash, InterpreterProcess
from bssl_tf.deploy.metadata import FileFacts, MetadataError, attach_metadata, read_metadata
from bssl_tf.errors import UserError
from bssl_tf.evaluation.networks import named_networks
from bssl_tf.search import photo_index
from tests.security import hostile_tflite

MUTATIONS, RUN = 300, 8


@pytest.fixture(scope="module")
def described(residual_file):
    return attach_metadata(residual_file, FileFacts("name", "text", "1", {"seed": 1}, {}))


def evaluate(path):
    named_networks([str(path)])[0].load()


def index(path):
    photo_index.TfliteBackbone(path)


def show(path):
    describe(inspect.read_file(path))


def on_this_machine(path):
    benchmark(path, "host")


@pytest.mark.parametrize("entry", [evaluate, index, show, on_this_machine])
@pytest.mark.parametrize("make", hostile_tflite.CRAFTED, ids=lambda make: make.__name__)
def test_crafted_files_are_refused(tmp_path, described, make, entry):
    path = tmp_path / "crafted.tflite"
    path.write_bytes(make(described))
    begin = time.monotonic()
    with pytest.raises(TfliteFileError, match="cut short or damaged"):
        entry(path)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("make", [hostile_tflite.overlapping_lists, hostile_tflite.shared_tensor])
def test_tables_that_are_named_many_times_count_as_often(described, make):
    with pytest.raises(TfliteFileError, match="parts of the file overlap"):
        inspect.inspect_file(make(described))


def test_a_file_of_very_many_tables_is_refused(described, monkeypatch):
    monkeypatch.setattr(reading, "MOST_PARTS", 50)
    with pytest.raises(TfliteFileError, match="more than 50 tables, lists and texts"):
        inspect.inspect_file(described)


def test_attached_files_are_read_once_and_within_a_limit(residual_file, monkeypatch):
    labels = {"features": tuple(map(str, range(64)))}
    content = attach_metadata(residual_file, FileFacts("name", "text", "1", {"note": "x" * 200}, labels))
    assert read_metadata(content).labels == labels
    monkeypatch.setattr(archive, "LARGEST_MEMBER", 300)
    with pytest.raises(MetadataError, match=r"labels.txt|provenance.json.*over 300 with those before it"):
        read_metadata(content)


def test_more_labels_than_outputs_and_other_provenance_are_refused(residual_file, monkeypatch):
    content = attach_metadata(residual_file, FileFacts("name", "text", "1", {}, {"features": ("a",) * 64}))
    with pytest.raises(MetadataError, match="more labels than the 64 numbers"):
        read_metadata(with_attached(content, "labels.txt", "a\n" * 10**6))
    with pytest.raises(MetadataError, match="provenance.json holds no names and values"):
        read_metadata(with_attached(content, "provenance.json", "[]"))


def with_attached(content, name, text):
    """The file, one of its attached files being another."""
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        texts = {entry: whole.read(entry) for entry in whole.namelist()} | {name: text}
    stream = io.BytesIO(content[: content.index(b"PK\3\4")])
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as written:
        for entry, text in texts.items():
            written.writestr(entry, text)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(8, 16, 3), (4096, 4096, 1), (16, 16, 2)], ids=str)
def test_images_of_other_forms_are_refused(shape):
    pixels = tf.keras.Input(shape, batch_size=1)
    model = tf.keras.Model(pixels, tf.keras.layers.GlobalAveragePooling2D()(pixels))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    with pytest.raises(TfliteFileError, match=rf"images of {shape[0]}×{shape[1]} pixels and {shape[2]} channel"):
        TfliteBackbone(content)


def test_outputs_larger_than_any_of_ours_are_refused(residual_file, monkeypatch):
    monkeypatch.setattr(interpreter, "LARGEST_WIDTH", 63)
    with pytest.raises(UserError, match="gives 64 features an image, over 63"):
        TfliteBackbone(residual_file).features(np.zeros((1, 16, 16, 3), np.uint8))
    monkeypatch.setattr(interpreter, "LARGEST_OUTPUTS", 63)
    with pytest.raises(TfliteFileError, match="gives more than 63 numbers an image"):
        TfliteBackbone(residual_file)


def test_a_zip_bomb_is_not_unpacked(tmp_path, residual_file):
    path = tmp_path / "bomb.tflite"
    plain = attach_metadata(residual_file, FileFacts("name", "text", "1", {}, {}))
    path.write_bytes(hostile_tflite.zip_bomb(plain[: plain.rindex(b"PK\3\4")]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"provenance.json' has 134,217,728 bytes"):
        show(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_file_larger_than_any_network_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect, "LARGEST_FILE", 1000)
    (tmp_path / "large.tflite").write_bytes(bytes(1001))
    with pytest.raises(TfliteFileError, match="large.tflite has 1,001 bytes"):
        show(tmp_path / "large.tflite")


def test_mutations_give_clear_errors_or_a_network_that_runs(described):
    accepted = []
    for seed in range(MUTATIONS):
        content = mutation(described, seed)
        for read in (inspect.inspect_file, read_metadata):
            try:
                read(content)
            except (TfliteFileError, MetadataError):
                continue
            if read is inspect.inspect_file:
                accepted.append(content)
    assert RUN < len(accepted) < MUTATIONS / 2
    for content in accepted[:RUN]:
        try:
            network = TfliteBackbone(content, num_threads=1)
            network.run(np.zeros((1, *network.image_shape), network.report.inputs[0].dtype))
        except TfliteFileError:
            pass


def test_a_crash_of_the_interpreter_ends_its_own_process_only(residual_file):
    with pytest.raises(InterpreterCrash, match="crashes with SIG"):
        process = InterpreterProcess(hostile_tflite.no_options(residual_file), 1, output_bytes=256)
        process.run(bytes(16 * 16 * 3))


def test_an_interpreter_that_hangs_is_ended(residual_file, monkeypatch):
    network = TfliteBackbone(residual_file)
    monkeypatch.setattr(interpreter_process, "SECONDS_FOR_AN_ANSWER", 0.0)
    with pytest.raises(TfliteFileError, match="gives no answer within 0 s"):
        network.run(np.zeros((1, 16, 16, 3), np.uint8))
    assert network._interpreter._process.poll() is not None


def test_memory_of_the_interpreter_is_bounded(residual_file, monkeypatch):
    monkeypatch.setattr(interpreter_process, "MEMORY_BYTES", 2**20)
    with pytest.raises(TfliteFileError, match="in a process of its own"):
        TfliteBackbone(residual_file)


def test_the_process_ends_with_its_object(residual_file):
    network = TfliteBackbone(residual_file)
    process = network._interpreter._process
    assert process.poll() is None
    del network
    assert process.wait(5) == 0
