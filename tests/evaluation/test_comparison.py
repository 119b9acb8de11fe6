import os

import pytest

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.comparison import compare_runs, records_of_runs, short_names
from bssl_tf.evaluation.protocols.base import Network, Score
from bssl_tf.evaluation.protocols.knn import Knn
from bssl_tf.evaluation.protocols.linear import Linear
from bssl_tf.evaluation.results import Job, Results

SETTINGS = EvaluationSettings(protocols="knn")
FACTS = {"feature_size": 3, "image": [8, 1], "training_images": 100, "test_images": 50}


def measured(run, networks, data_settings=None, protocol=Knn, value=0.5):
    results, data = Results(run / "evaluation" / "results.json"), data_settings or {"dataset": "digits"}
    for name, identity in networks.items():
        job = Job(Network(name, identity, None), protocol(SETTINGS), protocol(SETTINGS).parts()[0], "digits", data)
        results.put(job, [Score(protocol.name, value, 100)], 1.0, FACTS)
    return str(run)


def names(runs):
    return [record["network"] for record in records_of_runs(runs, SETTINGS)]


def test_what_runs_share_is_there_once_and_the_rest_has_the_names_of_its_run(tmp_path):
    runs = [
        measured(tmp_path / "seed0" / "bssl", {"student": "1", "teacher": "9"}),
        measured(tmp_path / "seed0" / "simclr", {"student": "2", "teacher": "9"}),
    ]
    assert names(runs) == ["bssl: student", "teacher", "simclr: student"]


def test_one_network_in_two_states_is_two(tmp_path):
    runs = [measured(tmp_path / run, {"teacher": run}) for run in ("a", "b")]
    assert names(runs) == ["a: teacher", "b: teacher"]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_comparison_draws_plots_if_wanted(tmp_path, monkeypatch, wanted):
    drawn = []
    monkeypatch.setattr("bssl_tf.evaluation.comparison.write_tables", lambda *arguments: None)
    monkeypatch.setattr("bssl_tf.evaluation.plots.plot_accuracy", lambda *arguments: drawn.append(arguments))
    runs = [measured(tmp_path / run, {"student": run}) for run in ("a", "b")]
    compare_runs(runs, SETTINGS, output=tmp_path / "both", plots=wanted)
    assert len(drawn) == wanted


def test_names_are_paths_without_what_all_share():
    assert short_names(["runs/a/x", "runs/b/x"]) == {
        "runs/a/x": os.path.join("a", "x"),
        "runs/b/x": os.path.join("b", "x"),
    }
    assert short_names(["runs/a/"]) == {"runs/a/": "a"}


def test_other_images_of_one_name_are_refused(tmp_path):
    runs = [measured(tmp_path / "a", {"s": "1"}), measured(tmp_path / "b", {"s": "1"}, {"dataset": "digits", "n": 5})]
    with pytest.raises(ConfigError, match="other images of digits"):
        records_of_runs(runs, SETTINGS)


def test_of_a_run_that_was_measured_on_several_images_the_latest_count(tmp_path, monkeypatch):
    for second, data in enumerate(({"dataset": "digits", "n": 5}, {"dataset": "digits"})):
        monkeypatch.setattr("time.strftime", lambda _, second=second: f"2026-11-28 12:00:0{second}")
        run = measured(tmp_path / "a", {"s": "1"}, data)
    (record,) = records_of_runs([run], SETTINGS)
    assert record["data"] == {"dataset": "digits"}


def test_what_was_not_measured_with_these_settings_is_refused(tmp_path):
    run = measured(tmp_path / "a", {"s": "1"})
    with pytest.raises(ConfigError, match="nothing there was measured with these settings"):
        records_of_runs([run], EvaluationSettings(protocols="svm"))


def test_a_protocol_that_was_not_measured_is_named(tmp_path, capsys):
    run = measured(tmp_path / "a", {"s": "1"})
    assert len(records_of_runs([run], EvaluationSettings(protocols="knn,svm"))) == 1
    assert "svm not measured with these settings" in " ".join(capsys.readouterr().out.split())


def test_scores_of_earlier_weights_do_not_stand_beside_those_of_the_present_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bssl-evaluate"])
    both, clock = EvaluationSettings(protocols="knn,linear"), iter(range(10))
    monkeypatch.setattr("time.strftime", lambda _: f"2026-11-28 12:00:0{next(clock)}")
    measured(tmp_path / "a", {"student": "old", "teacher": "t"})
    measured(tmp_path / "a", {"student": "old", "teacher": "t"}, protocol=Linear)
    run = measured(tmp_path / "a", {"student": "new"}, value=0.75)
    shown = {(each["network"], each["protocol"]): each["identity"] for each in records_of_runs([run], both)}
    assert shown == {("a: student", "knn"): "new", ("a: teacher", "knn"): "t", ("a: teacher", "linear"): "t"}
    told = " ".join(capsys.readouterr().out.split())
    assert "linear of student measured on earlier weights only, so not shown" in told
    assert f"measure again: bssl-evaluate --workdir={run}" in told and "teacher" not in told

    run = measured(tmp_path / "b", {"student": "old"})
    measured(tmp_path / "b", {"student": "new"}, protocol=Linear)
    with pytest.raises(ConfigError, match="--compare=.*b: only earlier weights .* Measure .*bssl-evaluate --workdir="):
        records_of_runs([run], SETTINGS)


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="there is no such folder"):
        records_of_runs([str(tmp_path / "nothing")], SETTINGS)
