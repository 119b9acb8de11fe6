"""The common form of a self-supervised method: a Keras model that learns from batches of views."""

import abc

import tensorflow as tf

from bssl_tf.methods.replicas import Mean, loss_share, mean_of_terms


class Method(tf.keras.Model, abc.ABC):
    """What every method shares: the training step, the metrics, what is checkpointed.

    A method says which networks it has (`networks`), what its loss is (`loss_terms`) and, where not
    all of them follow the main optimizer, who trains what (`trained_by`). Keras does the rest:
    `compile` and `fit` on a dataset of ``((view_1, view_2),)``, each view (batch, size, size,
    channels) float32 pixels in 0..255. Calling a method gives the features of its backbone.
    """

    backbone: tf.keras.Model

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._means: dict[str, Mean] = {}
        self.distribute_reduction_method = "first"  # what is reported is the same in all replicas

    @property
    @abc.abstractmethod
    def networks(self) -> dict[str, tf.Module]:
        """Name → network (or variable) that belongs in a checkpoint: all that is trained."""

    @abc.abstractmethod
    def loss_terms(self, views: tuple[tf.Tensor, ...], training: bool) -> dict[str, tf.Tensor]:
        """Scalars of one batch: ``loss``, which is minimised, and any other to be shown beside it.

        Under a strategy with several replicas `views` is a replica's part of the batch; a scalar that is a mean
        over images may be that of this part, any other is to be that of the global batch (`methods.replicas`).
        """

    def trained_by(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        """Pairs of an optimizer and the variables it updates."""
        return [(self.optimizer, self.trainable_variables)]

    @property
    def optimizers(self) -> dict[str, tf.keras.optimizers.Optimizer]:
        """Name → optimizer, for the checkpoint."""
        return {"optimizer": self.optimizer}

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.backbone(images, training=training)

    def train_step(self, data):
        (views,) = data
        with tf.GradientTape() as tape:
            terms = self.loss_terms(views, training=True)
            loss = loss_share(terms["loss"])
        groups = self.trained_by()
        gradients = tape.gradient(loss, [variables for _, variables in groups])
        for (optimizer, variables), group_gradients in zip(groups, gradients, strict=True):
            optimizer.apply_gradients(zip(group_gradients, variables, strict=True))
        return self._report(terms)

    def test_step(self, data):
        (views,) = data
        return self._report(self.loss_terms(views, training=False))

    def _report(self, terms: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Means over the steps since the last reset; a variable (λ) is no measurement and stays as it is."""
        report = {}
        for name, value in mean_of_terms(terms).items():
            if isinstance(value, tf.Variable):
                report[name] = value.read_value()
                continue
            if name not in self._means:
                self._means[name] = Mean(name)
            self._means[name].update_state(value)
            report[name] = self._means[name].result()
        return report

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return list(self._means.values())
