"""Accuracy of a converted classifier as it is: what the phone will see."""

import numpy as np

from bssl_tf.evaluation.labelled_data import LabelledData
from bssl_tf.evaluation.protocols.base import Network, Protocol, Score, Task

_SHOWN = 5
"""Names of classes in a message."""


class Accuracy(Protocol):
    """Measured on every classifier, requested or not: nothing else can be measured on one."""

    name = "accuracy"

    def applies_to(self, network: Network) -> bool:
        return network.class_names is not None

    def misfit(self, network: Network, data: LabelledData) -> str:
        """The classes of network and images, in words, where they are not the same in the same order."""
        if data.several_labels:
            return f"it gives one label an image, and the images of {data.name} have several"
        names = network.class_names or ()
        if names == data.class_names:
            return ""
        if sorted(names) == sorted(data.class_names):
            return f"it has the classes of {data.name} in another order"
        return f"it has {_in_words(names)}, {data.name} has {_in_words(data.class_names)}"

    def run(self, task: Task) -> list[Score]:
        given = task.features("test").argmax(axis=1)
        right = float(np.mean(given == task.data.test_labels))
        return [Score("classifier", right, images=0)]


def _in_words(names: tuple[str, ...]) -> str:
    more = " …" if len(names) > _SHOWN else ""
    return f"{len(names)} classes ({', '.join(names[:_SHOWN])}{more})"
