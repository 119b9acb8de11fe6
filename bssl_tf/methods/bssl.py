"""BSSL, later named BURN: joint classifier training of a binary student (https://arxiv.org/abs/2110.08851).

The symbols are the paper's: h_ζ the frozen float feature extractor (`teacher`), g_θ the classifier on
top of it (`target_classifier`), k_φ the binary feature extractor (`backbone`), l_φ its classifier
(`classifier`).

    model = Bssl(teacher, backbone, pseudo_classes=2000, balance=CosineBalance(total_steps))
    model.compile(tf.keras.optimizers.Adam(1e-3))
    model.fit(views, epochs=100)
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bssl_tf.losses import feature_similarity, kl_divergence
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import batch_mean, feature_std
from bssl_tf.methods.common.frozen_teacher import FrozenTeacher, swap_views
from bssl_tf.models import mlp_head


class Bssl(Method):
    """Binary student and float classifier, trained jointly against a frozen feature extractor.

    The loss is ``(1 - λ)·L_KL + λ·L_FS``. A batch is ``((view_1, view_2),)``, or ``((view_1, view_2), features)``
    where the teacher's features of both views come from a cache (`bssl_tf.training.feature_cache`): float16 of shape
    (batch, 2, width).

    Args:
        teacher: h_ζ, pixels (batch, size, size, channels) → features (batch, width). It runs in
            inference mode, gets no gradient, and is neither tracked nor saved.
        backbone: k_φ, pixels → features (batch, student width).
        pseudo_classes: K, outputs and hidden units of both classifiers.
        temperature: T of L_KL.
        similarity: "features" compares h_ζ(x) with k_φ(x), through a linear map to the teacher's width
            where the widths differ (dropped after training); "logits" compares g_θ(h_ζ(x)) with
            l_φ(k_φ(x)), as the authors' code does.
        views: "swapped": the student sees one view, its target the other, both ways round, as in the
            authors' recipe; "same": both see the same view.
        train_target: train g_θ with the student; False leaves θ as it is (its batch norm still uses the
            statistics of the batch, so that its random logits differ between images).
        balance: λ, a number or a function of the step (`bssl_tf.balancing.CosineBalance`); 0 is joint classifier
            training alone.

    Raises:
        ValueError: `similarity` or `views` is not one of the above.
    """

    options_are_flags = True
    reported = ("loss", "kl", "similarity", "balance", "target_entropy", "target_batch_entropy", "feature_std")

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        pseudo_classes: int = 2000,
        temperature: float = 0.2,
        similarity: str = "features",
        views: str = "swapped",
        train_target: bool = True,
        balance: float | Callable[[tf.Tensor], tf.Tensor] = 0.9,
        name: str = "bssl",
    ):
        super().__init__(name=name)
        if similarity not in ("features", "logits"):
            raise ValueError(f"similarity must be 'features' or 'logits', got {similarity!r}.")
        if views not in ("swapped", "same"):
            raise ValueError(f"views must be 'swapped' or 'same', got {views!r}.")
        self.temperature, self.similarity, self.views = temperature, similarity, views
        self._teacher = FrozenTeacher(teacher)
        teacher_width, width = self._teacher.width, backbone.output_shape[-1]
        self.backbone = backbone
        self.classifier = mlp_head(width, pseudo_classes, pseudo_classes, name="classifier")
        self.target_classifier = mlp_head(teacher_width, pseudo_classes, pseudo_classes, name="target_classifier")
        self.train_target = train_target
        self.feature_map = None
        if similarity == "features" and width != teacher_width:
            self.feature_map = tf.keras.Sequential(
                [tf.keras.Input((width,)), tf.keras.layers.Dense(teacher_width, use_bias=False, dtype="float32")],
                name="feature_map",
            )
        self._balance_at = balance if callable(balance) else lambda step: tf.constant(balance, tf.float32)
        self.target_optimizer = None

    def compile(
        self,
        optimizer: str | tf.keras.optimizers.Optimizer = "adam",
        *,
        target_optimizer: str | tf.keras.optimizers.Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure training.

        Args:
            optimizer: trains the student, and g_θ too unless `target_optimizer` is given.
            target_optimizer: trains g_θ, for instance with a learning rate of its own.
            **kwargs: as `Method.compile`.
        """
        super().compile(optimizer=optimizer, **kwargs)
        self.target_optimizer = tf.keras.optimizers.get(target_optimizer) if target_optimizer is not None else None

    @property
    def head(self) -> tf.keras.Model:
        return self.classifier

    @property
    def networks(self) -> dict[str, tf.Module]:
        networks = {
            "backbone": self.backbone,
            "classifier": self.classifier,
            "target_classifier": self.target_classifier,
        }
        return networks | ({"feature_map": self.feature_map} if self.feature_map is not None else {})

    @property
    def optimizers(self) -> dict[str, tf.keras.optimizers.Optimizer]:
        target = {"target_optimizer": self.target_optimizer} if self.target_optimizer is not None else {}
        return super().optimizers | target

    def optimizer_groups(self):
        student = [
            variable
            for network in (self.backbone, self.classifier, self.feature_map)
            if network is not None
            for variable in network.trainable_variables
        ]
        target = self.target_classifier.trainable_variables
        if not self.train_target:
            return [(self.optimizer, student)]
        if self.target_optimizer is None:
            return [(self.optimizer, student + target)]
        return [(self.optimizer, student), (self.target_optimizer, target)]

    def loss_terms(self, views, cached_features=None, *, training: bool) -> dict[str, tf.Tensor]:
        images = tf.concat(views, axis=0)
        teacher_features = self._teacher.features(images, cached_features)
        target_logits = self.target_classifier(teacher_features, training=training)
        features = self.backbone(images, training=training)
        student_logits = self.classifier(features, training=training)
        if self.views == "swapped":
            teacher_features = swap_views(teacher_features, len(views))
            target_logits = swap_views(target_logits, len(views))
        if self.similarity == "logits":
            similarity = feature_similarity(target_logits, student_logits)
        else:
            mapped = features if self.feature_map is None else self.feature_map(features)
            similarity = feature_similarity(teacher_features, mapped)
        kl = tf.reduce_mean(kl_divergence(target_logits, student_logits, self.temperature))
        similarity = tf.reduce_mean(similarity)
        balance = self._balance_at(self.optimizer.iterations if self.optimizer else 0)
        return {
            "loss": (1.0 - balance) * kl + balance * similarity,
            "kl": kl,
            "similarity": similarity,
            "balance": balance,
            **health_signs(target_logits, features, self.temperature),
        }


def health_signs(target_logits: tf.Tensor, features: tf.Tensor, temperature: float) -> dict[str, tf.Tensor]:
    """Three label-free signs of collapse, all without gradient.

    Args:
        target_logits: (batch, K).
        features: (batch, width), the student's.
        temperature: T.

    Returns:
        ``target_entropy``: entropy of the target distribution, mean over samples, as a share of log K;
        ``target_batch_entropy``: entropy of the batch's mean target, as a share of log K (bounded by the
        batch: log batch / log K for one-hot targets); ``feature_std``: see `distributed.feature_std`.
    """
    logits = tf.stop_gradient(tf.cast(target_logits, tf.float32)) / temperature
    log_classes = math.log(logits.shape[-1])
    log_target = tf.nn.log_softmax(logits)
    target = tf.exp(log_target)
    mean_target = batch_mean(target)
    return {
        "target_entropy": -tf.reduce_mean(tf.reduce_sum(target * log_target, axis=-1)) / log_classes,
        "target_batch_entropy": -tf.reduce_sum(tf.math.xlogy(mean_target, mean_target)) / log_classes,
        "feature_std": feature_std(features),
    }
