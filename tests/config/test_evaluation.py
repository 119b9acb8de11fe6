import dataclasses

import pytest
from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.evaluation import PROTOCOLS, EvaluationSettings
from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.protocols.base import Network
from bssl_tf.evaluation.protocols.registry import BY_NAME, chosen_protocols, settings_without_effect


def test_lists_are_read():
    settings = EvaluationSettings(protocols="svm, knn", labels="1%,2.5%, 500", knn_k="20,5", sgd_milestones="")
    settings.check()
    assert settings.protocol_names == ("svm", "knn") and settings.amounts == ("1%", "2.5%", "500")
    assert settings.neighbours == (5, 20) and settings.milestones == () and settings.shots[-1] == 96


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"protocols": "knn,kmeans"}, "'kmeans' is unknown"),
        ({"protocols": ""}, "--protocols is empty"),
        ({"labels": "110%"}, "'110%' is neither"),
        ({"labels": "0%"}, "'0%' is neither"),
        ({"labels": "2.5"}, "'2.5' is neither"),
        ({"labels": "nan%"}, "'nan%' is neither"),
        ({"labels": "inf"}, "'inf' is neither"),
        ({"labels": ""}, "--labels is empty"),
        ({"knn_k": "0"}, "--knn_k=0: '0' is no whole number"),
        ({"svm_shots": "1,x"}, "'x' is no whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSettings(**wrong).check()


def test_every_name_is_a_protocol_and_reads_settings_that_exist():
    assert set(BY_NAME) == set(PROTOCOLS)
    for protocol in BY_NAME.values():
        assert set(protocol(EvaluationSettings()).identity) == {*protocol.reads, "seed", "version"}


def test_every_setting_is_read_by_a_protocol():
    read = {name for protocol in BY_NAME.values() for name in (*protocol.reads, *protocol.parts_from)}
    assert {field.name for field in dataclasses.fields(EvaluationSettings)} == read | {"protocols", "seed"}


@pytest.mark.parametrize(
    "settings, without, with_effect",
    [
        (dict(protocols="knn"), ["labels", "draws", "sgd_epochs", "svm_shots", "finetune_steps"], ["knn_k", "seed"]),
        (dict(protocols="linear"), ["knn_k", "sgd_epochs", "svm_shots", "finetune_draws"], ["labels", "draws"]),
        (dict(protocols="svm"), ["labels", "finetune_start"], ["svm_shots", "draws"]),
        (dict(protocols="scratch"), ["finetune_layers", "draws"], ["labels", "finetune_steps", "finetune_draws"]),
        (dict(protocols="finetune"), ["layerwise_lr_decay"], ["finetune_layers", "labels"]),
        (dict(protocols="finetune", finetune_layers="layerwise"), ["svm_shots"], ["layerwise_lr_decay"]),
    ],
)
def test_settings_of_protocols_that_are_not_named_do_nothing(settings, without, with_effect):
    found = settings_without_effect(EvaluationSettings(**settings))
    assert set(without) <= set(found) and not set(with_effect) & set(found)
    assert found.get("sgd_epochs", "is for --protocols=linear_sgd") == "is for --protocols=linear_sgd"


def test_flags_without_effect_are_refused(monkeypatch):
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    configuration.define_flags(EvaluationSettings)
    values(["evaluate.py", "--protocols=knn", "--sgd_drops=5", "--knn_k=3"])
    with pytest.raises(ConfigError, match="--sgd_milestones=5 does nothing here: it is for --protocols=linear_sgd"):
        configuration.refuse_without_effect(settings_without_effect(EvaluationSettings(protocols="knn")))
    configuration.refuse_without_effect(settings_without_effect(EvaluationSettings(protocols="linear_sgd,knn")))


def test_a_protocol_that_fits_no_network_is_refused():
    file = Network("a.tflite", "1", None)
    with pytest.raises(ValueError, match="finetune can judge none of these: a.tflite. It needs a pretrained binary"):
        chosen_protocols(EvaluationSettings(protocols="knn,finetune"), [file])
    classifier = Network("c.tflite", "2", None, class_names=("cat", "dog"))
    names = [protocol.name for protocol in chosen_protocols(EvaluationSettings(), [classifier])]
    assert names == ["knn", "linear", "accuracy"]
