"""Compares two devices (of one CPU) with one, and prints the largest relative deviations as JSON."""

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

import bssl_tf  # noqa: F401

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from bssl_tf.errors import ConfigError  # noqa: E402
from bssl_tf.losses import nt_xent  # noqa: E402
from bssl_tf.methods.common.distributed import batch_variance, global_batch, loss_share  # noqa: E402
from bssl_tf.methods.registry import create  # noqa: E402
from bssl_tf.methods.simclr import SimClr  # noqa: E402
from bssl_tf.models import BackboneSpec, build_backbone  # noqa: E402
from bssl_tf.models.normalisation import batch_norm  # noqa: E402
from bssl_tf.training.checkpoints import PhaseCheckpoint  # noqa: E402
from bssl_tf.training.multi_worker.strategy import ONE_DEVICE, on_this_machine  # noqa: E402

TWO = on_this_machine("mirrored")
RANDOM = np.random.default_rng(0)
FOUND = {}


def deviation(ours, theirs):
    """Largest, relative to the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def on_both(distribution, function, rows):
    """Run `function` on the halves of `rows` (or on the whole); its results in the order of the rows."""
    parts = np.split(rows, distribution.replicas)
    strategy = distribution.strategy
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )
    results = tf.function(lambda values: strategy.run(function, args=(values,)))(values)
    return [np.concatenate(strategy.experimental_local_results(result)) for result in results]


def compare_batch_norm():
    """The mean is ten times the deviation, where E[x²] - E[x]² loses digits."""
    images = RANDOM.normal(10.0, 1.0, (8, 4, 4, 3)).astype(np.float32)
    results = []
    for distribution in (ONE_DEVICE, TWO):
        with distribution.scope():
            layer = batch_norm()
            layer.build(images.shape)

            def forward_and_back(x):
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    outputs = layer(x, training=True)  # noqa: B023 – called before the loop goes on
                    loss = loss_share(tf.reduce_mean(outputs**3 * tf.range(3.0)))
                return outputs, tape.gradient(loss, x)

            outputs, gradients = on_both(distribution, forward_and_back, images)
            results.append((outputs, gradients, layer.moving_mean.numpy(), layer.moving_variance.numpy() - 0.9))
    for what, one, two in zip(("outputs", "gradients", "moving mean", "moving variance"), *results, strict=True):
        FOUND[f"batch norm: {what}"] = deviation(two, one)


def compare_contrastive_loss():
    rows = RANDOM.normal(size=(8, 2, 5)).astype(np.float32)
    results = []
    for distribution in (ONE_DEVICE, TWO):

        def forward_and_back(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                first, second = global_batch(x[:, 0]), global_batch(x[:, 1])
                loss = tf.reduce_mean(nt_xent(first, second, 0.2))
                share = loss_share(loss)
            return loss[tf.newaxis], tape.gradient(share, x), batch_variance(x[:, 0])

        with distribution.scope():
            loss, gradients, variance = on_both(distribution, forward_and_back, rows)
            results.append((loss[-1:], gradients, variance[-5:]))
    for what, one, two in zip(("contrastive loss", "contrastive gradients", "global variance"), *results, strict=True):
        FOUND[what] = deviation(two, one)


def simclr():
    tf.keras.utils.set_random_seed(0)
    spec = BackboneSpec("resnet_small", 8, 1, (100.0,), (60.0,), width=8, stages=1, mode="float")
    method = SimClr(build_backbone(spec), projection_size=8)
    method.compile(tf.keras.optimizers.Adam(1e-2))
    return method


def train(distribution, method, first, last, order=range(8)):
    """Losses of some steps on batches that depend on the step alone; `order`: that of the images in each."""

    def views(context):
        size = context.get_per_replica_batch_size(8)
        batches = np.random.default_rng(1).uniform(0, 255, (last, 2, 8, 8, 8, 1)).astype(np.float32)[first:]
        batches = batches[:, :, list(order)]
        parts = batches.reshape(last - first, 2, 8 // size, size, 8, 8, 1).swapaxes(1, 2).reshape(-1, 2, size, 8, 8, 1)
        return tf.data.Dataset.from_tensor_slices(parts).map(lambda pair: ((pair[0], pair[1]),)).repeat()

    losses = []
    watch = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: (losses.append(float(logs["loss"])), method.reset_metrics())
    )
    batches = distribution.strategy.distribute_datasets_from_function(views)
    method.fit(batches, steps_per_epoch=last - first, callbacks=[watch], verbose=0)
    return losses


def compare_runs(folder):
    """Two steps on one device, saved; two more on one device, and on two; those on two saved, restored on one."""
    method = simclr()
    before = PhaseCheckpoint(folder / "one", method, 1.0)
    before.on_train_begin()
    train(ONE_DEVICE, method, 0, 2)
    before.on_train_end()
    shutil.copytree(folder / "one", folder / "two")
    expected = train(ONE_DEVICE, method, 2, 4)
    with TWO.scope():
        spread = simclr()
        after = PhaseCheckpoint(folder / "two", spread, 1.0, TWO)
        assert after.restore() == 2
        after.on_train_begin()
        losses = train(TWO, spread, 2, 4)
        after.on_train_end()
    FOUND["SimCLR losses after a checkpoint of one device"] = deviation(losses, expected)
    again = simclr()
    assert PhaseCheckpoint(folder / "two", again, 1.0).restore() == 4
    pairs = zip(again.backbone.get_weights(), spread.backbone.get_weights(), strict=True)
    FOUND["one device from their checkpoint"] = max(deviation(ours, theirs) for ours, theirs in pairs)


def compare_baselines():
    """Methods with a state of their own (a queue, momentum networks, prototypes), three steps each."""
    baselines = {
        "moco_v2": dict(queue_size=20, projection_size=4),
        "byol": dict(hidden_size=8, projection_size=4),
        "swav": dict(prototypes=4, projection_size=4),
    }
    for name, options in baselines.items():
        losses = []
        for distribution in (ONE_DEVICE, TWO):
            with distribution.scope():
                tf.keras.utils.set_random_seed(0)
                layers = [tf.keras.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(6)]
                method = create(name, options, backbone=tf.keras.Sequential(layers), total_steps=3)
                method.compile(tf.keras.optimizers.SGD(0.01))
                losses.append(train(distribution, method, 0, 3))
        FOUND[f"losses of {name}"] = deviation(losses[1], losses[0])


def dense(units):
    layers = [tf.keras.Input((8, 8, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(units)]
    return tf.keras.Sequential(layers)


def compare_micro_batches():
    """The parts that batch norms see are halves of each device's half: images 0, 1, 4, 5 and 2, 3, 6, 7."""
    found = []
    for distribution, order in ((ONE_DEVICE, (0, 1, 4, 5, 2, 3, 6, 7)), (TWO, range(8))):
        with distribution.scope():
            tf.keras.utils.set_random_seed(0)
            options = dict(target="joint", standardise=False, pseudo_classes=5)
            method = create("bssl", options, backbone=dense(6), teacher=dense(4))
            method.compile(tf.keras.optimizers.SGD(0.01), micro_batches=2)
            found.append(train(distribution, method, 0, 3, order))
    FOUND["losses of micro batches"] = deviation(found[1], found[0])


def compare_targets_of_bssl():
    """Losses that compare all images, and what they leave in the target's classifier, after three steps."""
    for target in ("contrast", "balanced"):
        found = []
        for distribution in (ONE_DEVICE, TWO):
            with distribution.scope():
                tf.keras.utils.set_random_seed(0)
                options = dict(target=target, pseudo_classes=5)
                method = create("bssl", options, backbone=dense(6), teacher=dense(4))
                method.compile(tf.keras.optimizers.SGD(0.01))
                losses = train(distribution, method, 0, 3)
                found.append((losses, method.target_classifier.get_weights()[0]))
        FOUND[f"losses of bssl, {target}"] = deviation(found[1][0], found[0][0])
        FOUND[f"target of bssl, {target}"] = deviation(found[1][1], found[0][1])


compare_batch_norm()
compare_contrastive_loss()
compare_baselines()
compare_targets_of_bssl()
compare_micro_batches()
with tempfile.TemporaryDirectory() as temporary:
    compare_runs(Path(temporary))
try:
    TWO.check_batch(7, "--batch_size")
except ConfigError as error:
    FOUND["refused"] = str(error)
print(json.dumps(FOUND))
