"""BSSL, later named BURN: joint classifier training of a binary student (https://arxiv.org/abs/2110.08851).

The symbols are the paper's: x an image, x' its other view, h_ζ the frozen float feature extractor (`teacher`), g_θ the
classifier on top of it (`target_classifier`), k_φ the binary feature extractor (`backbone`), l_φ its classifier
(`classifier`). With u = h_ζ(x'), t = g_θ(u), v = k_φ(x), s = l_φ(v), everything here minimises

    L = (1 - λ)·L_target + λ·L_FS(u, m(v)) [+ L_θ]              m: a map to the teacher's width

and the forms differ in what the student learns from t:

    joint      L_target = KL(softmax(t / T) || softmax(s / T)), its gradient reaches θ: the paper's letter
    frozen     the same, but θ stays as it is: what the authors' code amounts to
    contrast   L_target = s_i finds t_i among all t_j, and t_i finds s_i among all s_j; its gradient reaches θ
    balanced   L_target = KL(softmax(t̄ / T_t) || softmax(s̄ / T)) without gradient to θ (s̄, t̄: of unit length), and
               L_θ = cross entropy of softmax(t̄ / T) under the balanced (Sinkhorn) assignment of t̄ for the other view

In "joint" a constant t is the easiest target, and θ slides to it. In "contrast" it is the worst; in "balanced" it is
excluded, since every pseudo-class gets its share of each batch. Both compare the images of a batch.

    model = Bssl(teacher, backbone, pseudo_classes=256)
    model.compile(tf.keras.optimizers.Adam(1e-3))
    model.fit(views, epochs=100)
"""

import math
from collections.abc import Callable, Collection
from typing import Any

import tensorflow as tf

from bssl_tf.losses import cross_entropy, feature_similarity, kl_divergence, matching
from bssl_tf.methods.common.assignments import balanced_assignments
from bssl_tf.methods.common.base import Method
from bssl_tf.methods.common.distributed import batch_mean, batch_variance, feature_std, global_batch
from bssl_tf.methods.common.frozen_teacher import FrozenTeacher, swap_views
from bssl_tf.models import mlp_head

Terms = tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]

REPORTED = {
    "joint": ("kl", "target_entropy", "target_batch_entropy"),
    "frozen": ("kl", "target_entropy", "target_batch_entropy"),
    "contrast": ("matching", "target_std"),
    "balanced": ("kl", "target_loss", "target_entropy", "target_batch_entropy"),
}


class Bssl(Method):
    """Binary student and float classifier, trained against a frozen feature extractor.

    The loss stands in the module's docstring. A batch is ``((view_1, view_2),)``, or ``((view_1, view_2), features)``
    where the teacher's features of both views come from a cache (`bssl_tf.training.feature_cache`): float16 of shape
    (batch, 2, width).

    Args:
        teacher: h_ζ, pixels (batch, size, size, channels) → features (batch, width). It runs in
            inference mode, gets no gradient, and is neither tracked nor saved.
        backbone: k_φ, pixels → features (batch, student width).
        target: "joint", "frozen", "contrast" or "balanced", as above. Frozen or not, the batch norm of g_θ uses the
            statistics of the batch, so that its random logits differ between images.
        pseudo_classes: K, outputs and hidden units of both classifiers.
        temperature: T.
        target_temperature: T_t of "balanced".
        similarity: "features" compares u with m(v); "logits" compares t with s, as the authors' code does.
        similarity_map: m, dropped after training: "identity"; "linear"; "mlp" (dense of twice the student width, batch
            norm, ReLU, dense); or "auto": linear where the widths differ, identity elsewhere.
        standardise: bring every teacher feature to mean 0 and deviation 1 over the global batch before anything else
            sees it. Features behind a ReLU share a large mean, and a cosine of raw ones measures little else.
        views: "swapped": the student sees one view, its target the other, both ways round, as in the
            authors' recipe; "same": both see the same view.
        balance: λ, a number or a function of the step (`bssl_tf.balancing.CosineBalance`); 0 is L_target alone, 0.5
            weights both alike. L_θ trains θ alone, so that λ does not touch it.
        epsilon: ε of the Sinkhorn assignments, how soft they are.
        iterations: of Sinkhorn and Knopp's algorithm.

    Raises:
        ValueError: a choice is not one of the above, or an identity is to join different widths.
    """

    options_are_flags = True

    def __init__(
        self,
        teacher: tf.keras.Model,
        backbone: tf.keras.Model,
        *,
        target: str = "balanced",
        pseudo_classes: int = 2000,
        temperature: float = 0.1,
        target_temperature: float = 0.07,
        similarity: str = "features",
        similarity_map: str = "mlp",
        standardise: bool = True,
        views: str = "swapped",
        balance: float | Callable[[tf.Tensor], tf.Tensor] = 0.5,
        epsilon: float = 0.05,
        iterations: int = 3,
        name: str = "bssl",
    ):
        _check_choice("target", target, REPORTED)
        _check_choice("similarity", similarity, ("features", "logits"))
        _check_choice("similarity_map", similarity_map, ("auto", "identity", "linear", "mlp"))
        _check_choice("views", views, ("swapped", "same"))
        self.reported = ("loss", *REPORTED[target], "similarity", "balance", "feature_std")
        super().__init__(name=name)
        self.target, self.compares_images = target, target in ("contrast", "balanced") or standardise
        self.temperature, self.target_temperature = temperature, target_temperature
        self.similarity, self.standardise, self.views = similarity, standardise, views
        self.epsilon, self.iterations = epsilon, iterations
        self._teacher = FrozenTeacher(teacher)
        teacher_width, width = self._teacher.width, backbone.output_shape[-1]
        self.backbone = backbone
        self.classifier = mlp_head(width, pseudo_classes, pseudo_classes, name="classifier")
        self.target_classifier = mlp_head(teacher_width, pseudo_classes, pseudo_classes, name="target_classifier")
        self.feature_map = _map(similarity_map, width, teacher_width) if similarity == "features" else None
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
    def head(self) -> tf.keras.Model:  # type: ignore[override]  # another name of its classifier
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
        own = self.target_optimizer
        return super().optimizers | ({"target_optimizer": own} if own is not None else {})

    def optimizer_groups(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        student = [
            variable
            for network in (self.backbone, self.classifier, self.feature_map)
            if network is not None
            for variable in network.trainable_variables
        ]
        target = self.target_classifier.trainable_variables
        if self.target == "frozen":
            return [(self.optimizer, student)]
        if self.target_optimizer is None:
            return [(self.optimizer, student + target)]
        return [(self.optimizer, student), (self.target_optimizer, target)]

    def loss_terms(
        self, views: tuple[tf.Tensor, ...], cached_features: tf.Tensor | None = None, *, training: bool
    ) -> dict[str, tf.Tensor]:
        images = tf.concat(views, axis=0)
        teacher_features = self._teacher.features(images, cached_features)  # u
        if self.standardise:
            teacher_features = standardised(teacher_features)
        target_logits = self.target_classifier(teacher_features, training=training)  # t
        features = self.backbone(images, training=training)  # v
        student_logits = self.classifier(features, training=training)  # s
        if self.views == "swapped":
            teacher_features = swap_views(teacher_features, len(views))
            target_logits = swap_views(target_logits, len(views))
        if self.similarity == "logits":
            similarity = feature_similarity(target_logits, student_logits)
        else:
            mapped = features if self.feature_map is None else self.feature_map(features, training=training)
            similarity = feature_similarity(teacher_features, mapped)
        similarity = tf.reduce_mean(similarity)
        balance = self._balance_at(self.optimizer.iterations if self.optimizer else 0)
        of_target = {"contrast": self._contrast, "balanced": self._balanced}.get(self.target, self._classify)
        from_target, from_own_views, signs = of_target(target_logits, student_logits, len(views))
        return {
            "loss": (1.0 - balance) * from_target + balance * similarity + from_own_views,
            "similarity": similarity,
            "balance": balance,
            "feature_std": feature_std(features),
            **signs,
        }

    # Each gives L_target, L_θ, and what to report; the logits are (views·batch, K), one view after the other.

    def _classify(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        kl = tf.reduce_mean(kl_divergence(target, student, self.temperature))
        return kl, 0.0, {"kl": kl, **entropies(target, self.temperature)}

    def _contrast(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        pairs = zip(tf.split(student, views), tf.split(target, views), strict=True)
        losses = [matching(global_batch(s), global_batch(t), self.temperature) for s, t in pairs]
        loss = tf.reduce_mean(losses)
        return loss, 0.0, {"matching": loss, "target_std": feature_std(target)}

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        target, student = (tf.math.l2_normalize(logits, axis=-1) for logits in (target, student))
        assigned = [balanced_assignments(t, self.epsilon, self.iterations) for t in tf.split(target, views)]
        others = swap_views(tf.concat(assigned, axis=0), views)
        own = tf.reduce_mean(cross_entropy(others, target / self.temperature))
        fixed = tf.stop_gradient(target) / self.target_temperature
        kl = tf.reduce_mean(kl_divergence(fixed, student / self.temperature, 1.0))
        return kl, own, {"kl": kl, "target_loss": own, **entropies(fixed, 1.0)}


def standardised(features: tf.Tensor) -> tf.Tensor:
    """Each feature at mean 0 and deviation 1 over the global batch; one that is the same for all images becomes 0.

    Statistics of the batch, as a batch norm has them in training, not running ones: with those, students were no
    better (docs/results.md), and there would be a state to save.

    Args:
        features: (batch / n, width).

    Returns:
        (batch / n, width) float32.
    """
    features = tf.cast(features, tf.float32)
    return (features - batch_mean(features)) * tf.math.rsqrt(batch_variance(features) + 1e-6)


def entropies(target_logits: tf.Tensor, temperature: float) -> dict[str, tf.Tensor]:
    """Two label-free signs of a target's collapse, without gradient.

    Args:
        target_logits: (batch, K).
        temperature: T.

    Returns:
        ``target_entropy``: entropy of the target distribution, mean over samples, as a share of log K;
        ``target_batch_entropy``: entropy of the batch's mean target, as a share of log K (bounded by the
        batch: log batch / log K for one-hot targets).
    """
    logits = tf.stop_gradient(tf.cast(target_logits, tf.float32)) / temperature
    log_classes = math.log(logits.shape[-1])
    log_target = tf.nn.log_softmax(logits)
    target = tf.exp(log_target)
    mean_target = batch_mean(target)
    return {
        "target_entropy": -tf.reduce_mean(tf.reduce_sum(target * log_target, axis=-1)) / log_classes,
        "target_batch_entropy": -tf.reduce_sum(tf.math.xlogy(mean_target, mean_target)) / log_classes,
    }


def _map(kind: str, width: int, teacher_width: int) -> tf.keras.Model | None:
    if kind == "identity" and width != teacher_width:
        raise ValueError(
            f"similarity_map='identity' needs equal widths; the student's features have {width}, the teacher's "
            f"{teacher_width}: use 'linear' or 'mlp'."
        )
    if kind == "identity" or (kind == "auto" and width == teacher_width):
        return None
    if kind == "mlp":
        return mlp_head(width, 2 * width, teacher_width, name="feature_map")
    linear = tf.keras.layers.Dense(teacher_width, use_bias=False, dtype="float32")
    return tf.keras.Sequential([tf.keras.Input((width,)), linear], name="feature_map")


def _check_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
