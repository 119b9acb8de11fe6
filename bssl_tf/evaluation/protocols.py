"""All protocols by name."""

from bssl_tf.errors import ConfigError
from bssl_tf.evaluation.accuracy import Accuracy
from bssl_tf.evaluation.finetune import Finetune, Scratch
from bssl_tf.evaluation.knn import Knn
from bssl_tf.evaluation.linear import Linear
from bssl_tf.evaluation.linear_sgd import LinearSgd
from bssl_tf.evaluation.protocol import Network, Protocol
from bssl_tf.evaluation.svm import Svm
from bssl_tf.evaluation_settings import EvaluationSettings

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
            raise ConfigError(f"--protocols: {protocol.name} can judge none of these: {names}. {protocol.wants}")
    return [*protocols, Accuracy(settings)]
