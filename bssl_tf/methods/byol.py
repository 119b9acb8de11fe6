"""BYOL: predicting a slowly moving target, without negatives (https://arxiv.org/abs/2006.07733, equations 1 and 2).

Constants of the reference: hidden 4 096, projection 256, momentum from 0.996 to 1 as a cosine, LARS 0.2 with batches of
4 096, weight decay 1.5e-6, 1 000 epochs of ImageNet. Here, for small data and epochs in tens: hidden 512, projection
128, momentum from 0.99, and the optimizer that is asked for.
"""

from typing import Annotated

import tensorflow as tf

from bssl_tf.balancing import cosine_balance
from bssl_tf.losses import feature_similarity
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import feature_std
from bssl_tf.methods.common.frozen_teacher import swap_views
from bssl_tf.methods.common.limits import Limits
from bssl_tf.methods.common.momentum import follow, momentum_copy
from bssl_tf.models import mlp_head


class Byol(Method):
    """A backbone that predicts, from one view, what its own moving average makes of the other view.

    Args:
        backbone: pixels (batch, size, size, channels) → features (batch, width).
        total_steps: steps of the phase, over which the momentum rises to 1.
        momentum: of the target network at the first step.
        hidden_size: hidden units of projection and prediction, two-layer MLPs.
        projection_size: their outputs.
    """

    head: tf.keras.Model

    reported = ("loss", "momentum", "feature_std")

    def __init__(
        self,
        backbone: tf.keras.Model,
        *,
        total_steps: int,
        momentum: Annotated[float, Limits(0.0, 1.0)] = 0.99,
        hidden_size: Annotated[int, Limits(1, 65_536)] = 512,
        projection_size: Annotated[int, Limits(1, 65_536)] = 128,
        name: str = "byol",
    ):
        super().__init__(name=name)
        self.total_steps, self.initial_momentum = total_steps, momentum
        self.backbone = backbone
        self.head = mlp_head(backbone.output_shape[-1], hidden_size, projection_size, name="projection")
        self.prediction = mlp_head(projection_size, hidden_size, projection_size, name="prediction")
        self.target_backbone, self.target_head = momentum_copy(self.backbone), momentum_copy(self.head)

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {
            "backbone": self.backbone,
            "projection": self.head,
            "prediction": self.prediction,
            "target_backbone": self.target_backbone,
            "target_projection": self.target_head,
        }

    @property
    def momentum(self) -> tf.Tensor:
        """τ at the optimizer's step: ``1 - (1 - τ_0)·(cos(π·t/T) + 1)/2``."""
        step = self.optimizer.iterations if self.optimizer else 0
        return cosine_balance(step, self.total_steps, self.initial_momentum, 1.0)

    def optimizer_groups(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        online = (self.backbone, self.head, self.prediction)
        return [(self.optimizer, [variable for network in online for variable in network.trainable_variables])]

    def loss_terms(self, views: tuple[tf.Tensor, ...], *, training: bool) -> dict[str, tf.Tensor]:
        images = tf.concat(views, axis=0)
        target = self.target_head(self.target_backbone(images, training=training), training=training)
        features = self.backbone(images, training=training)
        predicted = self.prediction(self.head(features, training=training), training=training)
        distance = 2.0 * feature_similarity(swap_views(tf.stop_gradient(target), len(views)), predicted)
        return {
            "loss": 2.0 * tf.reduce_mean(distance),  # the sum over both directions
            "momentum": self.momentum,
            "feature_std": feature_std(features),
        }

    def after_step(self, **_: tf.Tensor) -> None:
        """The target follows the online network."""
        follow(self.target_backbone, self.backbone, self.momentum)
        follow(self.target_head, self.head, self.momentum)
