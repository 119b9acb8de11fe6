"""Where a run trains: the strategy, who of several workers writes, and how they agree.

    distribution = on_this_machine("mirrored")
    with distribution.scope():
        train_stage(session, phase, student, method, optimizer, teacher=teacher)

Data, losses and batch norm look at the strategy in scope themselves: `data.pipeline`, `methods.common.distributed`,
`models.normalisation`.
"""

import functools
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import tensorflow as tf

from bssl_tf.errors import ConfigError, UserError
from bssl_tf.training.multi_worker.cluster import Cluster


@dataclass(frozen=True)
class Distribution:
    """One device, one machine, or several.

    Attributes:
        strategy: TensorFlow's; its default one where there is one device.
        cluster: all workers; None on one machine.
    """

    strategy: tf.distribute.Strategy = field(default_factory=tf.distribute.get_strategy)
    cluster: Cluster | None = None

    @property
    def chief(self) -> bool:
        """Whether this process writes and shows. All others only compute."""
        return self.cluster is None or self.cluster.chief

    @property
    def replicas(self) -> int:
        """Devices that share a batch, on all machines."""
        return self.strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager:
        """Networks, optimizers and data made in this context belong to the strategy."""
        return self.strategy.scope()

    def check_batch(self, batch_size: int, flag: str, micro_batches: int = 1) -> None:
        """Raises:
        ConfigError: the batch, or a device's part of it, cannot be shared out evenly.
        """
        parts = self.replicas * micro_batches
        if batch_size % parts:
            shared = f"all {self.replicas} devices together" + (
                f", each with --micro_batches={micro_batches}," if micro_batches > 1 else ""
            )
            raise ConfigError(
                f"{flag}={batch_size} is that of {shared} and cannot be shared out evenly: "
                f"give a multiple of {parts}, for instance {-(-batch_size // parts) * parts}."
            )

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is set on any worker; all workers have to call it."""
        return bool(self._sum(tf.constant(int(flag))) > 0)

    def wait_for_all(self) -> None:
        """Go on when all workers have come here."""
        self._sum(tf.constant(0))

    def check_same(self, value: object, complaint: Callable[[str], str]) -> None:
        """Compare something, as its text, between the workers; all have to call it, and all get the error.

        Args:
            value: what has to be the same.
            complaint: who differs from worker 0 → the message.

        Raises:
            UserError: it is not the same.
        """
        if self.cluster is None:
            return
        mine = tf.one_hot(self.cluster.index, len(self.cluster.addresses), dtype=tf.int64)
        values = self._sum(mine * zlib.crc32(str(value).encode())).numpy()
        different = [self.cluster.name(index) for index, other in enumerate(values) if other != values[0]]
        if different:
            raise UserError(complaint(", ".join(different)))

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        """Over the workers, each of which gives one value."""
        if self.cluster is None or len(self.cluster.addresses) == 1:
            return value
        return self._sum_over_workers(value)

    @functools.cached_property
    def _sum_over_workers(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A graph, because it runs at every step: half the time of a collective that is set up anew."""
        return tf.function(
            tf.autograph.experimental.do_not_convert(
                lambda value: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            )
        )


ONE_DEVICE = Distribution()


def on_this_machine(kind: str) -> Distribution:
    """`Distribution` for --distribution=one_device or mirrored.

    Raises:
        ConfigError: there are no several devices to mirror on.
    """
    if kind == "one_device":
        return ONE_DEVICE
    devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    devices = devices or [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(devices) < 2:
        raise ConfigError(
            f"--distribution={kind} needs at least two GPUs on this machine, but TensorFlow finds only {devices[0]}: "
            "leave it out."
        )
    return Distribution(tf.distribute.MirroredStrategy(devices))


def on_machines(cluster: Cluster) -> Distribution:
    """`Distribution` over the machines of a cluster; TensorFlow must not have computed anything before.

    All workers have to call it at about the same time.
    """
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    return Distribution(tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver), cluster)
