"""SwAV: predicting the cluster of one view from another (https://arxiv.org/abs/2006.09882, equations 1 to 5).

Constants of the reference: 3 000 prototypes, temperature 0.1, ε 0.05, 3 Sinkhorn iterations, projection of 128 with
2 048 hidden units, prototypes frozen for the first epoch, LARS, batches of 4 096 with 2 × 224 and 6 × 96 pixel crops,
800 epochs of ImageNet. Here, for small data: 128 prototypes, hidden units as wide as the features, prototypes frozen
for the first hundredth of the steps, and no queue of earlier features, which is for batches with fewer images than
prototypes. Multi-crop: ``--local_crops``.
"""

from typing import Annotated

import tensorflow as tf

from bssl_tf.losses import cross_entropy
from bssl_tf.methods.common.assignments import balanced_assignments
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import batch_mean, feature_std
from bssl_tf.methods.common.limits import Limits
from bssl_tf.methods.common.momentum import assign
from bssl_tf.models import at_size, mlp_head


class Swav(Method):
    """A backbone that gives two views of an image the same of several prototypes, all of which are used equally.

    Args:
        backbone: pixels (batch, size, size, channels) → features (batch, width).
        total_steps: steps of the phase.
        prototypes: clusters.
        temperature: of the predicted distribution.
        epsilon: ε, how soft the assignments are.
        iterations: of Sinkhorn and Knopp's algorithm.
        projection_size: length of the prototypes and outputs of the projection, a two-layer MLP.
        frozen_share: share of the steps, from the first, in which prototypes stay as they are.
    """

    head: tf.keras.Model

    reported = ("loss", "prototypes_used", "feature_std")
    multi_crop = True
    compares_images = True

    def __init__(
        self,
        backbone: tf.keras.Model,
        *,
        total_steps: int,
        prototypes: Annotated[int, Limits(2, 1_000_000)] = 128,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.1,
        epsilon: Annotated[float, Limits(1e-3, 100.0)] = 0.05,
        iterations: Annotated[int, Limits(1, 1000)] = 3,
        projection_size: Annotated[int, Limits(1, 65_536)] = 128,
        frozen_share: Annotated[float, Limits(0.0, 1.0)] = 0.01,
        name: str = "swav",
    ):
        super().__init__(name=name)
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.frozen_steps = int(frozen_share * total_steps)
        width = backbone.output_shape[-1]
        self.backbone, self.head = backbone, mlp_head(width, width, projection_size, name="projection")
        self.prototypes = tf.Variable(_unit(tf.random.normal((prototypes, projection_size))), name="prototypes")
        self._backbones: dict[int, tf.keras.Model] = {}

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {"backbone": self.backbone, "projection": self.head, "prototypes": self.prototypes}

    def loss_terms(self, views: tuple[tf.Tensor, ...], *, training: bool) -> dict[str, tf.Tensor]:
        large = self.backbone(tf.concat(views[:2], axis=0), training=training)
        features = [large]
        if len(views) > 2:
            local = tf.concat(views[2:], axis=0)
            features.append(self._backbone_for(local)(local, training=training))
        projected = _unit(self.head(tf.concat(features, axis=0), training=training))
        scores = tf.split(tf.matmul(projected, self._trained_prototypes(), transpose_b=True), len(views))
        assigned = [balanced_assignments(score, self.epsilon, self.iterations) for score in scores[:2]]
        losses = [
            tf.reduce_mean(cross_entropy(assignment, score / self.temperature))
            for number, assignment in enumerate(assigned)
            for other, score in enumerate(scores)
            if other != number
        ]
        used = batch_mean(tf.concat([tf.one_hot(tf.argmax(each, -1), each.shape[-1]) for each in assigned], axis=0))
        return {
            "loss": tf.add_n(losses) / len(losses),
            "prototypes_used": tf.reduce_mean(tf.cast(used > 0, tf.float32)),
            "feature_std": feature_std(large),
        }

    def after_step(self, **_: tf.Tensor) -> None:
        """Prototypes are directions: back to unit length."""
        assign([self.prototypes], [_unit(self.prototypes)])

    def _trained_prototypes(self) -> tf.Tensor:
        frozen = (self.optimizer.iterations if self.optimizer else 0) < self.frozen_steps
        return tf.where(frozen, tf.stop_gradient(self.prototypes), self.prototypes)

    def _backbone_for(self, images: tf.Tensor) -> tf.keras.Model:
        size = images.shape[1]
        if size not in self._backbones:
            with tf.init_scope():
                self._backbones[size] = at_size(self.backbone, size)
        return self._backbones[size]


def _unit(rows: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(rows, axis=-1)
