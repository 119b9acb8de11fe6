"""Trains a detector on two devices (of one CPU) and on one, and prints the largest relative deviations as JSON."""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

import bssl_tf  # noqa: F401

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from bssl_tf.config.detection import BoxAugmentationSettings  # noqa: E402
from bssl_tf.detection.batches import training_batches  # noqa: E402
from bssl_tf.detection.method import Detection  # noqa: E402
from bssl_tf.detection.model import NUM_EXTRA, Detector, DetectorSpec  # noqa: E402
from bssl_tf.detection.targets import Grid  # noqa: E402
from bssl_tf.models import BackboneSpec  # noqa: E402
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, on_this_machine  # noqa: E402
from tests.detection.scenes import rectangles  # noqa: E402

SPEC = BackboneSpec("reactnet_small", 64, 1, (60.0,), (80.0,))
GRID = Grid(64, (16, 32))


def detector():
    """Of one dense layer: no signs that flip where rounding differs."""
    tf.keras.utils.set_random_seed(0)
    pixels = tf.keras.Input((64, 64, 1))
    small = tf.keras.layers.Flatten()(tf.keras.layers.AveragePooling2D(8)(pixels / 255.0))
    outputs = 2 + NUM_EXTRA
    raw = tf.keras.layers.Reshape((GRID.positions, outputs))(tf.keras.layers.Dense(GRID.positions * outputs)(small))
    backbone = tf.keras.Model(pixels, small)
    return Detector(DetectorSpec(SPEC, ("a", "b")), backbone, tf.keras.Model(pixels, raw), GRID)


def train(distribution):
    """Losses of three steps, and the weights after them; images differ in their number of objects."""
    data = rectangles(12)
    with distribution.scope():
        method = Detection(detector())
        method.compile(tf.keras.optimizers.SGD(0.05))

        def batches(context):
            return training_batches(
                data,
                image_size=64,
                channels=1,
                augmentation=BoxAugmentationSettings(),
                seed=0,
                batch_size=4,
                epochs=1,
                replicas=context.num_replicas_in_sync,
            )

        losses = []
        watch = tf.keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: (losses.append(list(logs.values())), method.reset_metrics())
        )
        method.fit(
            distribution.strategy.distribute_datasets_from_function(batches),
            steps_per_epoch=3,
            callbacks=[watch],
            verbose=0,
        )
        return np.array(losses), np.concatenate([weight.ravel() for weight in method.detector.get_weights()])


one, two = train(ONE_DEVICE), train(on_this_machine("mirrored"))
print(
    json.dumps(
        {
            what: float(np.abs(a - b).max() / np.abs(a).max())
            for what, a, b in zip(("losses", "weights"), one, two, strict=True)
        }
    )
)
