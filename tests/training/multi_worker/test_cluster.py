"""Who takes part: --workers and --worker_index, or TF_CONFIG, and no contradiction between them."""

import json

import pytest

from bssl_tf.config.training import DistributionSettings
from bssl_tf.errors import ConfigError
from bssl_tf.training.multi_worker.cluster import Cluster, cluster_from

TWO = ("10.0.0.1:4000", "10.0.0.2:4000")


def settings(**given):
    return DistributionSettings(**{"distribution": "multi_worker", **given})


def tf_config(kind="worker", index=0, **jobs):
    return {"TF_CONFIG": json.dumps({"cluster": jobs or {"worker": TWO}, "task": {"type": kind, "index": index}})}


def test_flags_name_the_workers():
    cluster = cluster_from(settings(workers=", ".join(TWO), worker_index=1), {})
    assert cluster == Cluster(TWO, 1) and not cluster.chief
    assert cluster.name(0) == "worker 0 (10.0.0.1:4000)"


def test_tf_config_says_the_same():
    assert cluster_from(settings(), tf_config(index=1)) == Cluster(TWO, 1)
    assert cluster_from(settings(workers=",".join(TWO), worker_index=1), tf_config(index=1)) == Cluster(TWO, 1)


def test_the_chief_of_tf_config_comes_first():
    jobs = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert cluster_from(settings(), tf_config("worker", 1, **jobs)) == Cluster(("a:1", "b:1", "c:1"), 2)
    assert cluster_from(settings(), tf_config("chief", 0, **jobs)).chief


def test_one_machine_has_no_cluster():
    assert cluster_from(DistributionSettings(), {}) is None
    assert cluster_from(DistributionSettings(), tf_config(worker=["a:1"])) is None


@pytest.mark.parametrize(
    "given, environment, message",
    [
        ({}, {}, "--distribution=multi_worker needs to know the workers"),
        ({"workers": "a:1,b:1"}, {}, "--worker_index=-1: give 0 to 1"),
        ({"workers": "a:1,b:1", "worker_index": 2}, {}, "--worker_index=2: give 0 to 1"),
        ({"workers": "a:1,b", "worker_index": 0}, {}, "'b' is not HOST:PORT"),
        ({"workers": "a:1,a:1", "worker_index": 0}, {}, "an address of its own"),
        ({"worker_index": 0}, {}, "an address of its own"),
        ({"workers": "a:1,b:1", "worker_index": 0}, tf_config(), "contradict TF_CONFIG"),
        ({}, {"TF_CONFIG": "{"}, "TF_CONFIG={ cannot be used"),
        ({}, tf_config(index=5), "there is no worker 5"),
        ({}, tf_config(ps=["a:1"], worker=["b:1"]), "jobs of type ps"),
        ({"distribution": "mirrored", "workers": "a:1"}, {}, "are for --distribution=multi_worker"),
        ({"distribution": "one_device"}, tf_config(), "TF_CONFIG names 2 workers"),
    ],
)
def test_what_cannot_work_is_told_by_flag_value_and_remedy(given, environment, message):
    with pytest.raises(ConfigError, match=message):
        cluster_from(settings(**given), environment)
