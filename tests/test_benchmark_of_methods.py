"""The plan of the comparison, its statistics, and what it knows of finished runs."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
from absl import flags

from benchmarks import finished_runs
from benchmarks.methods import execution, records, tables, tasks, teachers
from benchmarks.methods.differences import mean_and_deviation, paired_difference
from benchmarks.methods.forms import FORMS
from benchmarks.methods.plan import (
    SETTINGS,
    Choice,
    features_run,
    length_queue,
    queue,
    rates_queue,
    run_of,
    selection_queue,
    teacher_run,
)
from benchmarks.methods.selection import choose
from bssl_tf.config.flags import define_flags
from bssl_tf.config.training import Config


def record(run, knn, linear=0.8, seconds=100.0):
    held_out = {"knn": knn - 0.01, "linear": linear - 0.01}
    costs = seconds, 1.5 * seconds
    accuracies = {"knn": knn, "linear": linear}
    return records.Record(run.arguments, run.seed, accuracies, *costs, {}, [], "a machine", "today", held_out)


def test_one_stage_has_the_epochs_of_two_and_is_no_form_of_a_setting_with_one():
    arguments = run_of("strong", "one_stage", 0, {}).arguments
    assert arguments[-4:] == ("--target=balanced", "--stages=2", "--epochs=16", "--seed=0")
    keys = [["features", "cosine", *rest] for rest in (["one_stage"], [])]
    found = [[run.key for run in queue(name, ["cosine", "one_stage"], [0], {})][1:] for name in ("strong", "selection")]
    assert found == keys


def test_the_interval_holds_the_true_difference_in_19_of_20_cases():
    random, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        seeds = random.normal(0.8, 0.05, 3)  # what both methods share
        ours, theirs = seeds + 0.02 + random.normal(0, 0.01, 3), seeds + random.normal(0, 0.01, 3)
        mean, half = paired_difference(dict(enumerate(ours)), dict(enumerate(theirs)))
        inside += abs(mean - 0.02) <= half
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_differences_are_paired_by_seed():
    mean, half = paired_difference({0: 0.5, 1: 0.9, 7: 0.0}, {0: 0.4, 1: 0.8, 2: 0.1})
    assert (mean, half) == pytest.approx((0.1, 0.0), abs=1e-6)
    assert paired_difference({0: 0.5}, {0: 0.4})[1] is None
    assert mean_and_deviation([1.0]) == (1.0, None)
    with pytest.raises(ValueError, match="no common seed"):
        paired_difference({0: 0.5}, {1: 0.4})


def test_all_flags_of_the_plan_are_flags_of_train():
    for key in FORMS:
        registry = flags.FlagValues()
        define_flags(*(type(getattr(Config(), name)) for name in vars(Config())), registry=registry)
        registry(["train.py", *run_of("strong", key, 0, {key: Choice(2e-3, {"0.002": 0.3})}).arguments])
        if key == "s2bnn_contrastive":
            options = "unit_length=true,contrastive=1.0,temperature=0.3,contrastive_temperature=0.3"
            assert registry["method_options"].value == options
    assert registry["learning_rate"].value == 8e-3  # a further form has the hyperparameters of the default one


def test_seeds_come_one_after_the_other_and_share_the_strong_teacher():
    runs = queue("strong", ["balanced", "simclr"], [0, 1], {})
    assert [(run.key, run.seed) for run in runs] == [
        *(("teacher", 0), ("features", 0), ("balanced", 0), ("simclr", 0)),
        *(("features", 1), ("balanced", 1), ("simclr", 1)),
    ]
    assert [run.seed for run in queue("weak", ["simclr"], [0, 1], {}) if run.key == "teacher"] == [0, 1]
    assert features_run("strong", 1).arguments[-1] == "--seed=1"


def test_a_record_counts_only_for_the_same_arguments(tmp_path):
    run = run_of("strong", "balanced", 0, {})
    assert records.load(run, tmp_path) is None
    records.save(run, record(run, 0.8), tmp_path)
    assert records.load(run, tmp_path) == record(run, 0.8)
    assert records.load(run_of("strong", "balanced", 0, {"balanced": Choice(2e-3)}), tmp_path) is None


def test_the_length_of_the_setting_itself_is_not_trained_again():
    names = [run.name for run in length_queue("strong", [0], {})]
    assert "strong/balanced-seed0" in names and "strong/balanced-8epochs-seed0" not in names
    assert "strong/balanced-32epochs-seed0" in names
    names = [run.name for run in length_queue("strong", [0], {}, [16], ["s2bnn"])]
    assert names == ["strong/teacher-seed0", "strong/s2bnn-16epochs-seed0"]


def test_another_form_of_a_baseline_has_what_was_chosen_for_the_baseline():
    chosen = {"balanced": Choice(2e-3, {"0.002": 0.2}), "s2bnn": Choice(4e-3, {"0.004": 0.1})}
    for key, expected in (("s2bnn_one_stage", ("4", "0.1")), ("one_stage", ("2", "0.2"))):
        arguments = run_of("strong", key, 0, chosen).arguments
        assert f"--learning_rate=0.00{expected[0]}" in arguments
        assert any(argument.endswith(f"temperature={expected[1]}") for argument in arguments)


def test_views_come_again_after_eight_epochs_at_the_latest():
    cycles = {name: re.search(r"--view_cycle=(\d+)", " ".join(of.student_arguments)) for name, of in SETTINGS.items()}
    assert int(cycles["few"][1]) == 8 and int(cycles["many"][1]) == 2


def test_hyperparameters_come_from_the_whole_grid_on_held_out_training_images(tmp_path):
    assert not SETTINGS["selection"].tested
    runs = [run for run in selection_queue(["simclr", "byol"]) if run.key not in ("teacher", "features")]
    assert len(runs) == 10 + 5
    for number, run in enumerate(runs):
        if "byol" not in run.key or "0.016" not in run.key:
            records.save(run, record(run, 0.5 + 0.01 * number), tmp_path)
    temperatures = dict.fromkeys(("0.001", "0.002", "0.004", "0.008", "0.016"), 0.2)
    assert choose(tmp_path) == records.chosen(tmp_path) == {"simclr": Choice(16e-3, temperatures), "byol": Choice(8e-3)}


def test_the_learning_rate_of_a_setting_comes_from_its_own_runs(tmp_path):
    for run in selection_queue(["simclr"])[2:]:
        worse = "0.016" in run.key or run.key == "simclr-0.008-0.1"
        records.save(run, record(run, 0.5 if worse else 0.6), tmp_path)
    chosen = choose(tmp_path)
    assert chosen["simclr"].temperatures["0.008"] == 0.2 and chosen["simclr"].rates == {}
    tried = rates_queue("strong", ["simclr", "random"], chosen)[2:]
    assert [run.name for run in tried] == [f"strong/simclr-{rate}-seed0" for rate in (0.008, 0.004, 0.016)]
    assert "--method_options=temperature=0.2" in tried[0].arguments
    for run, score in zip(tried, (0.8, 0.7, 0.75), strict=True):
        records.save(run, record(run, score), tmp_path)
    chosen = choose(tmp_path)
    assert chosen["simclr"].rates == {"strong": 8e-3} and run_of("strong", "simclr", 0, chosen) == tried[0]
    assert f"--learning_rate={chosen['simclr'].learning_rate:g}" in run_of("quick", "simclr", 0, chosen).arguments
    (row,) = tables.rates("strong", chosen, tmp_path).rows
    assert row == ("SimCLR", "69.0 / 79.0", "**79.0 / 79.0**", "74.0 / 79.0")
    assert tables.rates("strong", {}, tmp_path) is None


def test_the_table_shows_means_deviations_differences_and_cost(tmp_path):
    for seed, (ours, theirs) in enumerate([(0.80, 0.78), (0.82, 0.81)]):
        for key, knn, seconds in (("balanced", ours, 100.0), ("simclr", theirs, 120.0)):
            run = run_of("strong", key, seed, {})
            records.save(run, record(run, knn, seconds=seconds), tmp_path)
    table = tables.comparison("strong", "methods", {}, tmp_path)
    rows = {row[0]: row for row in table.rows}
    assert rows["BSSL, balanced"][1:5] == ("0, 1", "81.0 ± 1.4", "80.0 ± 0.0", "")
    # differences of -2 and -1 points: mean -1.5, deviation 0.71, t(0.975, 1) = 12.7
    assert rows["SimCLR"][4] == "-1.5 [-7.9, +4.9]" and rows["SimCLR"][6:] == ("120", "180")
    assert tables.comparison("weak", "methods", {}, tmp_path) is None
    assert tables.plot("strong", {}, tmp_path)[:4] == b"\x89PNG"


def test_the_table_of_the_grid_marks_the_best_pair(tmp_path):
    for run in selection_queue(["simclr"])[2:]:
        best = run.key == "simclr-0.002-0.2"
        records.save(run, record(run, 0.61 if best else 0.51, 0.71 if best else 0.76), tmp_path)
    (row,) = tables.grid(tmp_path).rows
    assert row == ("SimCLR", *["50.0 / 75.0"] * 3, "**60.0 / 70.0**", *["50.0 / 75.0"] * 6)


def test_the_table_of_tasks_has_intervals_over_seeds_of_means_over_draws(tmp_path):
    for seed, values in enumerate([(0.5, 0.7), (0.6, 0.8)]):
        run = run_of("strong", "simclr", seed, {})
        measured = {task: list(values) for task in tasks.TASKS}
        records.save(run, dataclasses.replace(record(run, 0.8), tasks=measured), tmp_path)
    table = tables.of_tasks("strong", {}, tmp_path)
    # means 60 and 70: deviation 7.07, t(0.975, 1) = 12.7
    assert table.rows == [("SimCLR", 2, *["65.0 [1.5, 128.5]"] * len(tasks.TASKS))]
    assert tables.of_tasks("weak", {}, tmp_path) is None


def test_an_interrupted_run_adds_up_its_time_and_a_failure_shows_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "SCRIPT", ["-c", "import time; time.sleep(0.2); print('boom'); raise SystemExit(3)"])
    place, run = execution.Place(tmp_path, "DATA"), run_of("strong", "simclr", 0, {})
    for attempt in (1, 2):
        with pytest.raises(execution.UserError, match="boom"):
            execution.execute(run, place)
        assert finished_runs.cost(place.folder(run))["wall_seconds"] >= 0.2 * attempt


def test_a_lost_teacher_is_restored_from_the_results_or_trained_again(tmp_path):
    place, results = execution.Place(tmp_path / "runs", "DATA"), tmp_path / "results"
    teacher, student = teacher_run("strong", 0), run_of("strong", "balanced", 0, {})
    assert teachers.unfinished([teacher, student], place, results) == [teacher, student]
    records.save(teacher, record(teacher, 0.8), results)
    assert teachers.unfinished([teacher, student], place, results) == [teacher, student]  # weights are lost
    weights = place.folder(teacher) / "teacher"
    weights.mkdir(parents=True)
    for name in teachers.FILES:
        (weights / name).write_text(name)
    teachers.keep(teacher, place, results)
    shutil.rmtree(weights)
    assert teachers.unfinished([teacher, student], place, results) == [student]
    assert {path.name for path in weights.iterdir()} == set(teachers.FILES)
    records.save(student, record(student, 0.8), results)
    shutil.rmtree(weights)
    assert teachers.unfinished([teacher, student], place, results) == [] and not weights.exists()


def test_few_labels_and_other_images_are_measured_on_features():
    random = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), 250)
    features = np.eye(8)[classes] + random.normal(0, 0.1, (1000, 8))
    sets = (features[::2], classes[::2]), (features[1::2], classes[1::2])
    measured = tasks.few_labels(*sets) | tasks.transfer(*sets)
    assert measured.keys() == tasks.TASKS.keys() and len(measured["SVM, 4"]) == tasks.DRAWS
    assert all(value > 0.85 for values in measured.values() for value in values)  # one image a class says less
    assert measured["digits, 20-NN"] == measured["digits, linear"] == [1.0] and measured["SVM, 16"] == [1.0] * 3
    few = (features[::10], classes[::10]), sets[1]
    assert tasks.few_labels(*few).keys() == measured.keys() - tasks.transfer(*sets).keys() - {"1% of labels"}
