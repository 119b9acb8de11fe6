"""BSSL, balanced, with local crops: the student gives small crops the targets of both large views (``--local_crops``).

As SwAV's multi-crop (https://arxiv.org/abs/2006.09882, section 3.2).
"""

from typing import Any

import tensorflow as tf

from benchmarks.methods.variants.balanced import Balanced
from bssl_tf.losses import kl_divergence
from bssl_tf.methods.bssl import Terms
from bssl_tf.models import at_size


class LocalCrops(Balanced):
    """Balanced BSSL whose L_target is a mean over all crops, large and small."""

    multi_crop = True

    def __init__(self, teacher: tf.keras.Model, backbone: tf.keras.Model, *, name: str = "local_crops", **options: Any):
        super().__init__(teacher, backbone, name=name, **options)
        self._small: dict[int, tf.keras.Model] = {}
        self._crops: tuple[tf.Tensor, ...] = ()

    def loss_terms(self, views, cached_features=None, *, training):
        self._crops = tuple(views[2:])
        return super().loss_terms(views[:2], cached_features, training=training)

    def _balanced(self, target: tf.Tensor, student: tf.Tensor, views: int) -> Terms:
        kl, own, signs = super()._balanced(target, student, views)
        if not self._crops:
            return kl, own, signs
        crops = tf.concat(self._crops, axis=0)
        features = self._backbone_for(crops.shape[1])(crops, training=True)
        logits = tf.math.l2_normalize(self.classifier(features, training=True), axis=-1) / self.temperature
        fixed = tf.stop_gradient(tf.math.l2_normalize(target, axis=-1)) / self.target_temperature
        count = len(self._crops)
        losses = [kl_divergence(tf.tile(each, (count, 1)), logits, 1.0) for each in tf.split(fixed, views)]
        of_crops = tf.reduce_mean(losses)
        return (views * kl + count * of_crops) / (views + count), own, signs

    def _backbone_for(self, size: int) -> tf.keras.Model:
        if size not in self._small:
            with tf.init_scope():
                self._small[size] = at_size(self.backbone, size)
        return self._small[size]
