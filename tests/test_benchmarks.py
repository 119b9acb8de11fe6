"""The published numbers are those of the saved results, and the results keep their form."""

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

from benchmarks import pages
from benchmarks.operator_times import REST, kind_of, own_times
from benchmarks.photos import write_photos
from benchmarks.report import RESULTS, Result, Table, best_seconds
from benchmarks.step_parts import row_of_part
from bssl_tf.data.sources import folder

FOLDER = RESULTS.parent
NAMES = [".".join(path.relative_to(FOLDER.parent).with_suffix("").parts) for path in FOLDER.rglob("*.py")]
MODULES = sorted(name.removesuffix(".__init__") for name in NAMES)


IMPORT_ALL = """
import importlib, sys
from absl import flags
for name in sys.argv[1:]:
    before = set(flags.FLAGS)
    importlib.import_module(name)
    for flag in set(flags.FLAGS) - before:  # others have flags of the same names
        delattr(flags.FLAGS, flag)
"""


def test_every_module_can_be_imported():
    has_torch = importlib.util.find_spec("torch") is not None
    names = [name for name in MODULES if has_torch or name != "benchmarks.torch_twin"]
    assert "benchmarks.pipeline" in names and "benchmarks.methods.variants.memory" in names
    subprocess.run([sys.executable, "-c", IMPORT_ALL, *names], check=True, cwd=FOLDER.parent)


def test_others_are_measured_beside_the_pipeline(tmp_path, monkeypatch):
    import benchmarks.pipeline as pipeline

    monkeypatch.setattr(pipeline, "QUICK", SimpleNamespace(value=True))
    monkeypatch.setattr(pipeline, "KINDS", {"pillow": "Pillow"})
    write_photos(tmp_path, 32, 40, 30)
    photos = folder.load(tmp_path, "train", holdout=1e-9, progress=False)
    table = pipeline.references(photos, tmp_path, 0.05)
    assert table.rows[0][0] == "Pillow" and len(table.rows[0]) == len(table.columns)


def test_the_docs_show_what_was_saved():
    for path, text in pages.pages().items():
        assert path.read_text() == text, f"{path.name} is out of date: python -m benchmarks.pages"


def test_every_saved_result_says_where_it_comes_from():
    results = [Result.load(path) for path in RESULTS.glob("*.json")]
    assert results
    for result in results:
        module = RESULTS.parent / result.name
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        assert result.command.startswith(f"python -m benchmarks.{result.name}")
        assert "cores" in result.hardware and "tensorflow" in result.versions and result.date


def test_a_result_comes_back_as_it_was_saved(tmp_path):
    result = Result("speed", [Table("T", ("what", "ms"), [("a", 1234.5), ("b", None)], ("A note.",))])
    assert Result.load(result.save(tmp_path)) == result
    assert result.tables[0].markdown().splitlines() == [
        *("**T**", "", "| what | ms |", "| --- | ---: |", "| a | 1 234 |", "| b |  |", "", "A note."),
    ]


def test_the_best_time_is_the_shortest():
    calls = []
    assert 0 < best_seconds(lambda: calls.append(1), repeats=4, warm_up=2) < 0.01
    assert len(calls) == 6


def test_a_difference_of_two_times_that_is_negative_has_neither_share_nor_rate():
    assert row_of_part("step", 0.5, None, step=0.5, images=8) == ("step", 500.0, "100 %", None, 16.0)
    assert row_of_part("student backward", 0.25, 0.125, step=0.5, images=8)[2:] == ("50 %", 2.0, 32.0)
    assert row_of_part("student backward", -0.25, 0.125, step=0.5, images=8)[1:] == (-250.0, None, None, None)


def test_the_time_of_an_operator_is_without_that_of_what_it_calls():
    events = [(0, 100, "Process"), (10, 30, "_MklNativeConv2D"), (15, 10, "Adam/x:Mul"), (50, 20, "Executor::Start")]
    assert own_times(events) == {
        "convolutions, forward": 20,
        "signs, biases, RPReLU (XLA)": 20,
        REST: 60,
    }
    assert kind_of("_MklNativeConv2DBackpropFilter") == "convolutions, gradient of kernels"
    assert kind_of("_MklNativeFusedBatchNormGradV3") == "batch norms"
