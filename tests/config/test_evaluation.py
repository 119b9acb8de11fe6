import pytest

from bssl_tf.config.evaluation import PROTOCOLS, EvaluationSettings
from bssl_tf.evaluation.protocols.base import Network
from bssl_tf.evaluation.protocols.registry import BY_NAME, chosen_protocols


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


def test_a_protocol_that_fits_no_network_is_refused():
    file = Network("a.tflite", "1", None)
    with pytest.raises(ValueError, match="finetune can judge none of these: a.tflite. It needs a pretrained binary"):
        chosen_protocols(EvaluationSettings(protocols="knn,finetune"), [file])
    classifier = Network("c.tflite", "2", None, class_names=("cat", "dog"))
    names = [protocol.name for protocol in chosen_protocols(EvaluationSettings(), [classifier])]
    assert names == ["knn", "linear", "accuracy"]
