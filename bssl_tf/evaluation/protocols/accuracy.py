"""Accuracy of a converted classifier as it is: what the phone will see."""

import numpy as np

from bssl_tf.errors import UserError
from bssl_tf.evaluation.protocols.base import Network, Protocol, Score, Task


class Accuracy(Protocol):
    """Measured on every classifier, requested or not: nothing else can be measured on one."""

    name = "accuracy"

    def applies_to(self, network: Network) -> bool:
        return network.class_names is not None

    def run(self, task: Task) -> list[Score]:
        """Raises UserError where the classifier's classes are not those of the data."""
        names, expected = task.network.class_names, task.data.class_names
        if names is None or names != expected:
            names = names or ()
            raise UserError(
                f"{task.network.name} has {len(names)} classes ({', '.join(names[:5])} …), {task.data.name} "
                f"has {len(expected)} ({', '.join(expected[:5])} …): evaluate it on its own data set."
            )
        given = task.features("test").argmax(axis=1)
        right = float(np.mean(given == task.data.test_labels))
        return [Score("classifier", right, images=0)]
