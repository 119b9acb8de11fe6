"""All protocols by name."""

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
