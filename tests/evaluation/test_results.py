import dataclasses
import json

import numpy as np
import pytest

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.training import ViewSettings
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.evaluation.feature_store import FeatureStore
from bssl_tf.evaluation.labelled_data import labelled
from bssl_tf.evaluation.protocols.base import Network, Score
from bssl_tf.evaluation.protocols.knn import Knn
from bssl_tf.evaluation.protocols.linear import Linear
from bssl_tf.evaluation.protocols.linear_sgd import LinearSgd
from bssl_tf.evaluation.results import EvaluationResult, Job, Results, summarise, with_earlier
from bssl_tf.evaluation.tables import long_table, markdown, short_table

NETWORK = Network("student", "abc", None)
FACTS = {"feature_size": 3, "image": [8, 1], "training_images": 100, "test_images": 50}


def job(network=NETWORK, protocol=Knn, settings=EvaluationSettings(), data="digits", part=None):
    return Job(network, protocol(settings), part or {}, data, {"dataset": data})


def test_results_are_found_again_on_disk_unless_something_changed(tmp_path):
    results = Results(tmp_path / "results.json")
    results.put(job(), [Score("20-NN", 0.5, 100)], 1.0, FACTS)
    again = Results(tmp_path / "results.json")
    assert again.get(job())["scores"][0]["value"] == 0.5
    assert again.get(job(settings=EvaluationSettings(labels="1%")))  # k-NN does not read it
    one, more = (EvaluationSettings(labels=labels, draws=2) for labels in ("10%", "1%,10%"))
    assert (
        job(protocol=Linear, settings=one, part={"draw": 1}).key
        == job(protocol=Linear, settings=more, part={"draw": 1}).key
    )
    for other in (
        job(network=dataclasses.replace(NETWORK, identity="abd")),
        job(settings=EvaluationSettings(knn_k="5")),
        job(settings=EvaluationSettings(seed=1)),
        job(data="other"),
        job(protocol=Linear),
        job(part={"draw": 1}),
    ):
        assert again.get(other) is None
    again.put(job(data="other"), [Score("20-NN", 0.6, 100)], 1.0, FACTS)
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2


def test_scores_of_what_trains_on_views_are_those_of_their_views(tmp_path):
    results = Results(tmp_path / "results.json")
    plain, cropped = (dataclasses.replace(job(protocol=LinearSgd), views=ViewSettings(crop_min=c)) for c in (0.2, 0.5))
    results.put(plain, [Score("linear, SGD on crops", 0.5, 100)], 1.0, FACTS)
    again = Results(tmp_path / "results.json")
    assert again.get(plain) and again.get(cropped) is None
    assert dataclasses.replace(job(), views=ViewSettings(crop_min=0.5)).key == job().key  # k-NN sees no views


def test_a_record_has_the_name_that_its_network_has_now(tmp_path):
    results = Results(tmp_path / "results.json")
    results.put(job(), [Score("20-NN", 0.5, 100)], 1.0, FACTS)
    assert results[job(network=dataclasses.replace(NETWORK, name="other"))]["network"] == "other"


def test_a_broken_file_is_told_and_kept(tmp_path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        Results(tmp_path / "results.json")


def record(network, *scores, data="digits"):
    return {"network": network, "data_name": data, "scores": [score.as_dict() for score in scores]}


def test_tables_show_means_and_deviations_of_draws():
    rows = summarise(
        [
            record("a", Score("1-NN", 0.9, 100, headline=False), Score("20-NN", 0.8, 100)),
            record("a", Score("linear", 0.5, 10, "10 % of labels")),
            record("a", Score("linear", 0.7, 10, "10 % of labels")),
            record("b", Score("20-NN", 0.4, 100)),
        ]
    )
    short = short_table(rows, {"a": {"feature_size": 64}, "b": {"bytes": 2048, "deviation": 1e-6}})
    assert short[0][:3] == ("network", "20-NN %", "linear %, 10 % of labels")
    assert short[1] == ("a", "80.0", "60.0 ± 14.1", "64", "", "")
    assert short[2] == ("b", "40.0", "", "", "2", "1.0e-06")
    assert long_table(rows)[1] == ("digits", "1-NN", "100", "90.0", "")
    assert markdown(short).splitlines()[1] == "| --- | ---: | ---: | ---: | ---: | ---: |"


def test_several_data_sets_stand_in_one_table():
    rows = summarise([record("a", Score("20-NN", 0.8, 9)), record("a", Score("20-NN", 0.7, 9), data="fashion")])
    assert short_table(rows, {}) == [("network", "digits: 20-NN %", "fashion: 20-NN %"), ("a", "80.0", "70.0")]
    assert short_table(rows, {"a": {"bytes": 2048}})[0][3:] == (".tflite, KiB",)


class Means:
    """A network by hand that counts how often it is asked."""

    image_shape, batches = (4, 4, 1), 0

    def features(self, images):
        Means.batches += 1
        return images.mean(axis=(1, 2)).astype(np.float32)


def source(seed, count=12):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return ArraySource("toy", random.integers(0, 256, (count, 4, 4, 1)).astype(np.uint8), labels, ["x", "y"])


def test_features_are_computed_once_for_a_network_and_images(tmp_path):
    data, Means.batches = labelled("toy", source(0), source(1)), 0
    first = FeatureStore(tmp_path, NETWORK, data, Means)("train")
    assert Means.batches == 1 and first.shape == (12, 1)
    assert np.array_equal(FeatureStore(tmp_path, NETWORK, data, None)("train"), first)  # nothing is loaded
    FeatureStore(tmp_path, dataclasses.replace(NETWORK, identity="other"), data, Means)("train")
    FeatureStore(tmp_path, NETWORK, labelled("toy", source(2), source(1)), Means)("train")
    assert Means.batches == 3


def cut(path):
    path.write_bytes(path.read_bytes()[:500])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def without_checksum(path):
    about = json.loads(path.with_suffix(".json").read_text())
    del about["sha256"]
    path.with_suffix(".json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip_a_bit,
        without_checksum,
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".json").write_text("[" * 100_000),
    ],
)
def test_damaged_features_are_named_and_computed_again(tmp_path, damage, capsys):
    data = labelled("toy", source(0, 200), source(1))
    first = FeatureStore(tmp_path, NETWORK, data, Means)("train")
    (path,) = tmp_path.glob("*.npy")
    damage(path)
    again = FeatureStore(tmp_path, NETWORK, data, Means)("train")
    assert np.array_equal(again, first)
    said = capsys.readouterr().err
    assert str(path) in said and "computed again" in said
    assert np.array_equal(FeatureStore(tmp_path, NETWORK, data, None)("train"), first)  # they are whole again


def test_training_and_test_images_must_differ():
    with pytest.raises(ValueError, match="are the same"):
        labelled("toy", source(0), source(0))


def test_results_of_the_release_before_are_found_under_the_new_names_of_settings(tmp_path):
    settings = EvaluationSettings(sgd_milestones="5,8")
    results = Results(tmp_path / "results.json")
    results.put(job(protocol=LinearSgd, settings=settings), [Score("linear", 0.5, 100)], 1.0, FACTS)
    text = (tmp_path / "results.json").read_text()
    key = job(protocol=LinearSgd, settings=settings).key
    assert text.count('"sgd_milestones"') == 1
    (tmp_path / "results.json").write_text(text.replace("sgd_milestones", "sgd_drops").replace(key, "a key of then"))
    assert Results(tmp_path / "results.json").get(job(protocol=LinearSgd, settings=settings))


def test_earlier_measures_are_shown_under_their_latest_settings():
    def measured(settings, value, date, network="abc", protocol="knn"):
        scores = [Score("20-NN" if protocol == "knn" else "linear", value, 100).as_dict()]
        return dict(
            network="student", identity=network, data_name="digits", data={"dataset": "digits"}, protocol=protocol,
            settings=settings, part={}, scores=scores, date=date,
        )  # fmt: skip

    saved = [
        measured({"knn_temperature": 2}, 0.2, "2026-01-02"),
        measured({"knn_temperature": 1}, 0.1, "2026-01-01"),
        measured({}, 0.3, "2026-01-01", network="before it was trained again"),
    ]
    now = EvaluationResult.of([measured({}, 0.9, "2026-01-03", protocol="linear")], [NETWORK], None)
    shown = {row.measure: row.mean for row in with_earlier(now, saved + now.records).rows}
    assert shown == {"linear": 0.9, "20-NN": 0.2}
    again = EvaluationResult.of([measured({"knn_temperature": 1}, 0.1, "2026-01-01")], [NETWORK], None)
    assert [row.mean for row in with_earlier(again, saved).rows] == [0.1]
