"""The main job from the command line, as a user runs it: train, run again, change, convert, evaluate."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bssl_tf.deploy import inspect_file
from bssl_tf.deploy.metadata import read_metadata
from bssl_tf.training.monitoring.metrics_log import read_table

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "--flagfile=flags/digits.cfg",
    "--max_train_images=200",
    "--max_test_images=100",
    "--teacher_width=8",
    "--teacher_epochs=2",
    "--teacher_warmup_epochs=0",
    "--teacher_batch_size=50",
    "--student_stages=1",
    "--pseudo_classes=8",
    "--balance=cosine",
    "--epochs=2",
    "--warmup_epochs=0",
    "--batch_size=50",
    "--knn_every=1",
)


def command(program, *arguments):
    return subprocess.run([sys.executable, program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=400)


def succeeds(program, *arguments):
    result = command(program, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def fails(program, *arguments):
    result = command(program, *arguments)
    assert result.returncode in (1, 2) and "Traceback" not in result.stderr, result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def training_output(workdir):
    return succeeds("train.py", *TINY, f"--workdir={workdir}")


def test_train_shows_what_it_does_and_leaves_all_in_the_workdir(training_output, workdir):
    for line in ("Deployment plan of reactnet_small", "binary convolutions", "stage 2: epoch 2/2", "images/s", "next:"):
        assert line in training_output
    for phase in ("teacher", "stage1", "stage2"):
        files = {path.name for path in (workdir / phase).iterdir()}
        assert files >= {
            "settings.json",
            "checkpoints",
            "metrics.csv",
            "epochs.csv",
            "curves.png",
            "tensorboard",
            "backbone.json",
            "backbone.weights.h5",
            "summary.json",
        }
        assert all("knn" in row for row in read_table(workdir / phase / "epochs.csv"))
    balance = [row["balance"] for row in read_table(workdir / "stage2" / "metrics.csv")]
    assert 0.7 < balance[-1] < balance[0] <= 0.9


def test_running_again_says_that_all_is_done(training_output, workdir):
    written = (workdir / "stage2" / "summary.json").stat().st_mtime_ns
    assert "done: teacher, stage 1, stage 2" in succeeds("train.py", *TINY, f"--workdir={workdir}")
    assert (workdir / "stage2" / "summary.json").stat().st_mtime_ns == written


def test_a_dry_run_of_the_student_learns_from_the_teacher_that_is_there(training_output, workdir, tmp_path):
    again = ("train.py", *TINY, "--task=student", "--dry_run")
    succeeds(*again, f"--workdir={workdir}")
    assert (workdir / "dry_run" / "stage2" / "summary.json").exists()
    assert not (workdir / "dry_run" / "teacher").exists()
    assert f"{tmp_path / 'teacher'} holds no finished one" in fails(*again, f"--workdir={tmp_path}")


def test_changed_settings_are_refused_and_nothing_is_touched(training_output, workdir):
    error = fails("train.py", *TINY, f"--workdir={workdir}", "--temperature=0.5")
    assert "--temperature: saved 0.1, now 0.5" in error and "another --workdir" in error


def test_convert_then_evaluate_measures_all_networks_and_the_file(training_output, workdir):
    output = workdir / "digits.tflite"
    command_line = ("convert.py", f"--workdir={workdir}", f"--output={output}", "--outputs=features,codes")
    converted = succeeds(*command_line)
    assert "images agree to" in converted and "codes: the signs of all features, 64 bits" in converted
    report = json.loads(output.with_suffix(".json").read_text())
    assert report["parity"]["ok"] and report["parity"]["images"] == 100
    assert report["operators"] == inspect_file(output.read_bytes()).operators
    assert "was made from these very weights" in succeeds(*command_line)
    shown = succeeds("convert.py", f"--show={output}")
    assert "codes: uint8 1×8" in shown and '"dataset": "digits"' in shown and str(workdir) not in shown

    table = succeeds("evaluate.py", f"--workdir={workdir}")
    for row in ("random network", "stage 1", "BSSL student", "teacher", "digits.tflite"):
        assert row in table
    results = list(json.loads((workdir / "evaluation" / "results.json").read_text()).values())
    student, file = (twenty_nn(results, name) for name in ("BSSL student, binary", "digits.tflite, LCE interpreter"))
    assert abs(student - file) <= 0.03 and {result["test_images"] for result in results} == {100}
    codes = output.with_name("codes.tflite")
    succeeds("convert.py", f"--workdir={workdir}", f"--output={codes}", "--outputs=codes")
    assert [tensor.name for tensor in inspect_file(codes.read_bytes()).outputs] == ["codes"]
    again = succeeds("evaluate.py", f"--workdir={workdir}")
    assert "codes.tflite" not in again  # it has no features to measure
    plots = {path.name for path in (workdir / "evaluation" / "plots").iterdir()}
    assert plots >= {"digits-map.png", "digits-confusion-linear.png", "digits-neighbours-teacher-float.png"}


def twenty_nn(results, network):
    scores = [score for result in results if result["network"] == network for score in result["scores"]]
    return next(score["value"] for score in scores if score["measure"] == "20-NN")


def test_a_classifier_from_few_labels_goes_on_the_phone(training_output, workdir):
    flags = ("--protocols=finetune,linear", "--labels=50", "--finetune_steps=3", "--draws=2", "--noplots")
    first = succeeds("evaluate.py", f"--workdir={workdir}", *flags)
    assert "finetune of BSSL student, binary" in first
    assert "| fine-tuned %, 50 labels |" in (workdir / "evaluation" / "table.md").read_text()
    (folder,) = (workdir / "evaluation" / "classifiers").iterdir()
    file = workdir / "classifier.tflite"
    converted = succeeds("convert.py", f"--workdir={folder}", f"--output={file}")
    assert f"--model={file} --dataset=digits --max_train_images=200 --max_test_images=100" in " ".join(
        converted.split()
    )
    report = json.loads(file.with_suffix(".json").read_text())
    assert report["outputs"][0]["name"] == "logits" and report["parity"]["ok"]
    assert report["extra"]["class_names"] == list("0123456789")
    assert read_metadata(file.read_bytes()).labels == {"logits": tuple("0123456789")}

    again = succeeds("evaluate.py", f"--workdir={workdir}", *flags, f"--output={workdir / 'evaluation'}")
    assert "accuracy of classifier.tflite" in again and "finetune of" not in again and "linear of BSSL" not in again
    results = json.loads((workdir / "evaluation" / "results.json").read_text()).values()
    (in_lce,) = (r["scores"][0]["value"] for r in results if r["protocol"] == "accuracy")
    (in_keras,) = (r["scores"][0]["value"] for r in results if r["protocol"] == "finetune")
    assert abs(in_lce - in_keras) <= 0.03

    succeeds("evaluate.py", f"--compare={workdir}", *flags, f"--output={workdir / 'comparison'}")
    assert f"| {workdir.name}: BSSL student, binary |" in (workdir / "comparison" / "table.md").read_text()


def test_convert_does_not_overwrite_another_networks_file(training_output, workdir, tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"precious")
    error = fails("convert.py", f"--workdir={workdir}", f"--output={tmp_path / 'model.tflite'}")
    assert "--overwrite" in error and (tmp_path / "model.tflite").read_bytes() == b"precious"


@pytest.mark.parametrize(
    "program, arguments, message",
    [
        ("train.py", (), "--workdir is not set"),
        ("train.py", ("--workdir=w", "--dataset=cifar"), "--dataset=cifar is unknown"),
        ("train.py", ("--workdir=w", "digits"), "unexpected argument 'digits'"),
        ("train.py", ("--workdir=w", "--batch_size=5000"), "--batch_size=5000: --dataset=digits has only 1437"),
        ("train.py", ("--workdir=w", "--student=quicknet"), "--image_size=8 is too small for quicknet"),
        ("evaluate.py", ("--model=nothing.tflite",), "--model=nothing.tflite is neither"),
        ("evaluate.py", ("--workdir=nothing",), "holds no run"),
        ("evaluate.py", ("--protocols=knn,kmeans",), "'kmeans' is unknown. There are knn, linear"),
        ("evaluate.py", ("--labels=10%,many",), "'many' is neither a share like 1% nor a number"),
        ("evaluate.py", ("--compare=nothing",), "--compare=nothing: there is no such folder"),
        ("convert.py", ("--workdir=nothing",), "holds no finished stage 2"),
        ("convert.py", ("--classifier=nothing",), "holds no classifier (backbone.json is missing)"),
        ("convert.py", (), "nothing to convert"),
        ("convert.py", ("--lint=nothing",), "--lint=nothing does not exist"),
        ("convert.py", ("--benchmark=android", "--output=none.tflite"), "--output=none.tflite does not exist"),
    ],
)
def test_bad_input_is_one_clear_sentence_before_any_compute(program, arguments, message, tmp_path):
    arguments = [argument.replace("--workdir=w", f"--workdir={tmp_path}") for argument in arguments]
    error = fails(program, *arguments)
    assert message in error
    assert not (tmp_path / "teacher").exists()
