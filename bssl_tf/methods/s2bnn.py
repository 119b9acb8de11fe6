"""S2-BNN: distilling a frozen teacher, its pretrained head included (https://arxiv.org/abs/2102.08946).

The loss is BSSL's L_KL with a target that stands still, of outputs of unit length, as in the loss that the pretrained
head learnt by. The paper's constants: temperature 0.2, Adam, the head of MoCo v2 (128 outputs), lighter augmentation;
distillation alone did best there, and a contrastive term can be added. Here that term compares the two views within a
batch (SimCLR's loss) instead of against a queue.
"""

from typing import Annotated, Literal

import tensorflow as tf

from bssl_tf.losses import kl_divergence, nt_xent
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import feature_std, global_batch
from bssl_tf.methods.common.frozen_teacher import FrozenTeacher, swap_views
from bssl_tf.methods.common.limits import Limits
from bssl_tf.models import mlp_head


class S2bnn(Method):
    """Student whose outputs are to be distributed as those of the pretrained teacher.

    A batch is ``((view_1, view_2),)``, or ``((view_1, view_2), features)`` where the teacher's features are cached.

    Args:
        teacher: pixels (batch, size, size, channels) → features (batch, width); not tracked, not saved.
        teacher_head: the teacher's pretrained head, features (batch, width) → outputs (batch, K); not saved.
        backbone: the student, pixels → features.
        temperature: T of the distillation.
        contrastive: weight of the contrastive term; 0: distillation alone, whose batch can be split.
        unit_length: whether outputs of both are scaled to unit length before the softmax. Else the temperature means
            something else for each image, for the head was trained by a cosine.
        contrastive_temperature: of the contrastive term.
        views: "swapped": student and teacher see each other's view, as in `methods.bssl`; "same": the same view.

    Raises:
        ValueError: `views` is not one of the above.
    """

    head: tf.keras.Model

    reported = ("loss", "kl", "contrastive", "feature_std")
    compares_images = True
    comparing_option = "contrastive"

    def __init__(
        self,
        teacher: tf.keras.Model,
        teacher_head: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.2,
        unit_length: bool = True,
        contrastive: Annotated[float, Limits(0.0, 1000.0)] = 0.0,
        contrastive_temperature: Annotated[float, Limits(1e-3, 100.0)] = 0.2,
        views: Literal["swapped", "same"] = "swapped",
        name: str = "s2bnn",
    ):
        super().__init__(name=name)
        if views not in ("swapped", "same"):
            raise ValueError(f"views must be 'swapped' or 'same', got {views!r}.")
        self.temperature, self.unit_length, self.views = temperature, unit_length, views
        self.contrastive, self.contrastive_temperature = contrastive, contrastive_temperature
        self.compares_images = contrastive > 0
        self._teacher = FrozenTeacher(teacher)
        self.teacher_head = teacher_head
        width, outputs = backbone.output_shape[-1], teacher_head.output_shape[-1]
        self.backbone, self.head = backbone, mlp_head(width, width, outputs, name="head")

    @property
    def networks(self) -> dict[str, tf.Module]:
        return {"backbone": self.backbone, "head": self.head}

    def optimizer_groups(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        return [(self.optimizer, self.backbone.trainable_variables + self.head.trainable_variables)]

    def loss_terms(
        self, views: tuple[tf.Tensor, ...], cached_features: tf.Tensor | None = None, *, training: bool
    ) -> dict[str, tf.Tensor]:
        images = tf.concat(views, axis=0)
        target = tf.stop_gradient(self.teacher_head(self._teacher.features(images, cached_features), training=False))
        if self.views == "swapped":
            target = swap_views(target, len(views))
        features = self.backbone(images, training=training)
        outputs = self.head(features, training=training)
        compared = (_of_unit_length(target), _of_unit_length(outputs)) if self.unit_length else (target, outputs)
        kl = tf.reduce_mean(kl_divergence(*compared, self.temperature))
        contrastive = tf.constant(0.0)
        if self.contrastive > 0:
            first, second = tf.split(outputs, 2)
            losses = nt_xent(global_batch(first), global_batch(second), self.contrastive_temperature)
            contrastive = tf.reduce_mean(losses)
        return {
            "loss": kl + self.contrastive * contrastive,
            "kl": kl,
            "contrastive": contrastive,
            "feature_std": feature_std(features),
        }


def _of_unit_length(outputs: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(tf.cast(outputs, tf.float32), axis=-1)
