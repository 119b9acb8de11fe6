"""The plan of the comparison of detectors, its tables, and how it goes on."""

import json

import pytest
from absl import flags

from benchmarks import finished_runs
from benchmarks.detection import __main__ as command
from benchmarks.detection import execution, records, tables
from benchmarks.detection.plan import BACKBONES, SCENES, STUDENTS, detector_run, labels_run, queue, student_run
from benchmarks.methods.plan import Choice
from bssl_tf.config.detection import DetectionConfig
from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.flags import define_flags
from bssl_tf.config.training import DataSettings
from bssl_tf.files import write_json
from bssl_tf.models.spec import BackboneSpec


def record(run, **values):
    scores = {name: [0.3] for name in ("ap50", "ap75", "voc_ap50")} | values.pop("scores")
    return records.Record(run.arguments, scores, 100.0, 60.0, "a machine", "today", **values)


def test_all_flags_of_the_plan_are_flags_of_the_commands():
    for run, groups in (
        (
            detector_run("simclr", 100, 0, {}),
            [type(getattr(DetectionConfig(), name)) for name in vars(DetectionConfig())],
        ),
        (labels_run("simclr", 0, {}), [DataSettings, EvaluationSettings]),
    ):
        registry = flags.FlagValues()
        define_flags(*groups, registry=registry)
        registry(["command", *run.flags])
        assert registry["max_train_images"].value == run.scenes


def test_a_kind_is_the_same_for_all_backbones_and_differs_between_them_by_these_alone():
    for scenes in SCENES:
        runs = [detector_run(key, scenes, 1, {}) for key in BACKBONES]
        assert len({run.flags for run in runs}) == 1
        assert len({run.arguments for run in runs}) == len({run.name for run in runs}) == len(runs)
        epochs, batch = (
            int(next(flag for flag in runs[0].flags if flag.startswith(name)).split("=")[1])
            for name in ("--epochs", "--batch_size")
        )
        assert epochs * (scenes // batch) == pytest.approx(300, rel=0.05)
    tuned = detector_run("simclr", 100, 1, {"simclr": Choice(0.004, {"0.004": 0.2})})
    assert tuned.arguments != detector_run("simclr", 100, 1, {}).arguments


def test_seeds_come_one_after_the_other():
    runs = queue(["detectors"], list(BACKBONES), list(SCENES), [0, 1], {})
    assert [run.seed for run in runs] == [0] * 8 + [1] * 8
    rest = queue(["labels", "students"], list(BACKBONES), list(SCENES), [0, 1], {})
    assert [(run.part, run.seed) for run in rest] == [("labels", 0)] * 4 + [("students", 0)] * len(STUDENTS)


def test_the_tables_show_means_deviations_and_paired_differences(tmp_path):
    for seed, (ours, scratch) in enumerate([(0.22, 0.20), (0.25, 0.21)]):
        for key, ap in (("simclr", ours), ("scratch", scratch)):
            run = detector_run(key, 1000, seed, {})
            records.save(run, record(run, scores={"ap": [ap]}), tmp_path)
    rows = {row[0]: row for row in tables.detectors({}, tmp_path).rows}
    assert rows["SimCLR"][1:4] == (1000, "0, 1", "23.5 ± 2.1")
    # differences of 2 and 4 points: mean 3, deviation 1.41, t(0.975, 1) = 12.7
    assert rows["SimCLR"][7:] == ("+3.0 [-9.7, +15.7]", "60") and rows["from scratch"][7] == ""
    assert [table.title for table in tables.all_tables({}, tmp_path)] == [tables.detectors({}, tmp_path).title]

    file = {"ap": 0.2201, "agreeing": 1.0, "expected_agreeing": 0.5, "median_relative": 1e-6, "bytes": 9}
    file |= {"operators": 5, "binary_share_of_macs": 0.9, "conversion_seconds": 2.0}
    for run in (detector_run("simclr", 1000, 0, {}), student_run("quicknet")):
        records.save(run, record(run, scores={"ap": [0.22]}, file=file), tmp_path)
    shown = ("22.00", "22.01", "100", "50", "1.0e-06", 9, 5, "90.0", 2.0)
    assert tables.files({}, tmp_path).rows == [("SimCLR", *shown), ("quicknet", *shown)]
    run = labels_run("scratch", 0, {})
    shots = {f"low-shot SVM mAP, {shots} a class": [0.3, 0.4] for shots in tables.SHOTS}
    records.save(run, record(run, scores=shots | {"linear mAP": [0.5], "SVM mAP": [0.51]}), tmp_path)
    assert tables.labels({}, tmp_path).rows[0][:4] == ("random", "50.0", "51.0", "35.0 ± 7.1")


def test_what_is_finished_is_not_done_again_and_what_has_no_backbone_waits(tmp_path, monkeypatch):
    place = execution.Place(tmp_path / "detectors", "DATA", tmp_path / "methods")
    runs = queue(["detectors"], ["scratch", "simclr", "supervised"], [100], [0], {})
    scratch, simclr, supervised = runs
    assert [place.backbone(run) for run in runs] == [None] * 3
    student = execution.MethodsPlace(place.pretrained, "DATA").folder(simclr.pretrained)
    write_json(student / "stage2" / "summary.json", {})
    described = place.backbone(student_run("quicknet"))
    assert BackboneSpec.from_json((described / "backbone.json").read_text()).name == "quicknet"
    assert [place.backbone(run) for run in runs] == [student, student, None]

    done = []
    monkeypatch.setattr(
        command, "execute", lambda run, place, backbone: done.append(run) or record(run, scores={"ap": [0.2]})
    )
    assert command.work_through(runs, place, tmp_path / "records") == [supervised]
    assert command.work_through(runs, place, tmp_path / "records") == [supervised]
    assert done == [scratch, simclr]


def test_a_run_is_the_command_of_the_user_and_its_record_what_that_wrote(tmp_path, monkeypatch):
    script = (
        "import json, pathlib, sys, time; time.sleep(0.2); folder = pathlib.Path({flags[2]})/{flags[3]}; "
        "(folder/'flags').write_text(json.dumps(sys.argv[1:]))"
    )
    values = 'next(f for f in sys.argv if f.startswith("--{}=")).split("=")[1]'
    script = script.replace("{flags[2]}", values.format("workdir")).replace(
        "{flags[3]}", values.format("detector_name")
    )
    monkeypatch.setattr(execution, "DETECT", ["-c", script])
    place, run = execution.Place(tmp_path, "DATA", tmp_path), detector_run("scratch", 1000, 0, {})
    folder = place.folder(run)
    keras = dict.fromkeys(execution.SCORES, 0.2)
    facts = {"bytes": 9, "binary_share_of_macs": 0.9, "conversion_seconds": 1.0, "operators": {"a": 2, "b": 3}}
    parity = {"raw_outputs": {"agreeing": 1.0, "expected_agreeing": 1.0, "median_relative": 1e-6}}
    write_json(folder / "scores.json", {"keras": keras, "tflite": keras, "export": facts, "parity": parity})
    summary = {"steps": 1, "epochs": 1, "seconds": 1, "images_per_second": 1, "final": {"loss": 1.0}, "warnings": []}
    write_json(folder / "summary.json", summary)
    found = execution.execute(run, place, tmp_path / "student")
    given = json.loads((folder / "flags").read_text())
    assert {"--backbone=random", f"--random_like={tmp_path / 'student'}", "--export", *run.flags} <= set(given)
    assert found.scores["ap"] == [0.2] and found.file["operators"] == 5 and found.final == {"loss": 1.0}
    assert found.wall_seconds > 0 and finished_runs.cost(folder)["wall_seconds"] == found.wall_seconds
    assert execution.exported(run) and not execution.exported(detector_run("scratch", 1000, 1, {}))
