"""BSSL, balanced, with a memory: assignments are balanced over the batch and the targets of the batches before it.

As SwAV's queue for small batches (https://arxiv.org/abs/2006.09882, section 4.1).
"""

from typing import Annotated, Any

import tensorflow as tf

from benchmarks.methods.variants.balanced import Balanced
from bssl_tf.losses import cross_entropy, kl_divergence
from bssl_tf.methods.bssl import Terms, entropies
from bssl_tf.methods.common.assignments import balanced_assignments
from bssl_tf.methods.common.frozen_teacher import swap_views
from bssl_tf.methods.common.limits import Limits
from bssl_tf.methods.common.momentum import assign


class Memory(Balanced):
    """Args:
    memory_size: targets of each view that are remembered.
    """

    step_outputs = ("targets",)

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        memory_size: Annotated[int, Limits(1, 100_000)] = 1024,
        name: str = "memory",
        **options: Any,
    ):
        super().__init__(teacher, backbone, name=name, **options)
        directions = tf.math.l2_normalize(tf.random.normal((2, memory_size, self.classifier.output_shape[-1])), axis=-1)
        self.memory = tf.Variable(directions, trainable=False, name="memory")

    @property
    def networks(self) -> dict[str, tf.Module]:
        return super().networks | {"memory": self.memory}

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        target, student = (tf.math.l2_normalize(logits, axis=-1) for logits in (target, student))
        now = tf.stack(tf.split(target, views))
        known = tf.concat([now, self.memory], axis=1)
        assigned = [
            balanced_assignments(rows, self.epsilon, self.iterations)[: tf.shape(now)[1]] for rows in tf.unstack(known)
        ]
        own = tf.reduce_mean(cross_entropy(swap_views(tf.concat(assigned, axis=0), views), target / self.temperature))
        fixed = tf.stop_gradient(target) / self.target_temperature
        kl = tf.reduce_mean(kl_divergence(fixed, student / self.temperature, 1.0))
        targets = tf.stop_gradient(known)[:, : self.memory.shape[1]]
        return kl, own, {"kl": kl, "target_loss": own, "targets": targets, **entropies(fixed, 1.0)}

    def after_step(self, targets: tf.Tensor) -> None:  # type: ignore[override]
        assign([self.memory], [targets])
