"""All protocols by name."""

from dataclasses import fields

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.protocols.accuracy import Accuracy
from bssl_tf.evaluation.protocols.base import Network, Protocol
from bssl_tf.evaluation.protocols.finetune import Finetune, Scratch
from bssl_tf.evaluation.protocols.knn import Knn
from bssl_tf.evaluation.protocols.linear import Linear
from bssl_tf.evaluation.protocols.linear_sgd import LinearSgd
from bssl_tf.evaluation.protocols.svm import Svm

BY_NAME = {protocol.name: protocol for protocol in (Knn, Linear, LinearSgd, Svm, Finetune, Scratch)}


def settings_without_effect(settings: EvaluationSettings) -> dict[str, str]:
    """Name → why, of settings that do nothing with the protocols that are named, set or not.

    Raises:
        ConfigError: a protocol is unknown.
    """
    named, found = settings.protocol_names, {}
    for field in fields(settings):
        readers = [name for name, protocol in BY_NAME.items() if field.name in (*protocol.reads, *protocol.parts_from)]
        if readers and not {*readers} & {*named}:
            found[field.name] = f"is for --protocols={','.join(readers)}"
    if settings.finetune_layers != "layerwise":
        found.setdefault("layerwise_lr_decay", "is for --finetune_layers=layerwise")
    return found


def chosen_protocols(settings: EvaluationSettings, networks: list[Network]) -> list[Protocol]:
    """The protocols that the settings name, and the accuracy of classifiers.

    Raises:
        ConfigError: a protocol that none of the networks can be judged by.
    """
    protocols = [BY_NAME[name](settings) for name in settings.protocol_names]
    only_classifiers = all(network.class_names is not None for network in networks)
    for protocol in protocols:
        if not any(map(protocol.applies_to, networks)) and not only_classifiers:
            names = ", ".join(network.name for network in networks)
            raise ConfigError(f"--protocols: {protocol.name} can judge none of these: {names}. {protocol.requirement}")
    return [*protocols, Accuracy(settings)]
