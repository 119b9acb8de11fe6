"""Computes the teacher's features of a run's views, which all runs with this teacher and seed then share.

Takes the flags of train.py. A process of its own, so that its time is counted by itself.
"""

import dataclasses

from bssl_tf.config import flags as configuration
from bssl_tf.config.training import Config
from bssl_tf.console import console, run_entry_point
from bssl_tf.native_logs import import_tensorflow


def main() -> None:
    config = configuration.config_from_flags()
    import_tensorflow()
    import tensorflow as tf

    from bssl_tf.data import load_source
    from bssl_tf.training.multi_worker.strategy import ONE_DEVICE
    from bssl_tf.training.run import frozen_teacher
    from bssl_tf.training.run_data import RunData

    tf.keras.mixed_precision.set_global_policy(config.compute.precision)
    data = RunData.open(config.data, *(load_source(config.data, split) for split in ("train", "test")))
    teacher = frozen_teacher(config, data)
    network, _ = teacher.load(data)
    teacher.features.lookup(network, console, ONE_DEVICE)


if __name__ == "__main__":
    configuration.define_flags(*(group.type for group in dataclasses.fields(Config)))
    run_entry_point(main, __doc__)
