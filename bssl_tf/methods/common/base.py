"""The common form of a self-supervised method: a Keras model that learns from batches of views."""

import abc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bssl_tf.methods.common.distributed import Mean, loss_share, mean_of_terms


class Method(tf.keras.Model, abc.ABC):
    """What every method shares: the training step, the metrics, what is checkpointed.

    A method says which networks it has (`networks`), what its loss is (`loss_terms`), what it reports (`reported`),
    where not all networks follow the main optimizer, who trains what (`optimizer_groups`), and what changes besides by
    gradients (`after_step`). Keras does the rest: `compile` and `fit` on a dataset of ``((view_1, view_2),)``, each
    view (batch, size, size, channels) pixels in 0..255, of any type. Calling a method gives its backbone's features.
    """

    reported: tuple[str, ...] = ("loss",)
    """Names of the scalars that `loss_terms` gives."""

    step_outputs: tuple[str, ...] = ()
    """Names of tensors that `loss_terms` gives besides, for `after_step`."""

    multi_crop: bool = False
    """Whether smaller views may follow the first two."""

    compares_images: bool = False
    """Whether the loss compares the images of a batch, or keeps them: such a batch cannot be split."""

    comparing_option: str = ""
    """Name of the option that weighs what compares images: where it is 0, the batch can be split after all."""

    options_are_flags: bool = False
    """Whether its options are flags of train.py (a group of `config.training`), and not part of --method_options."""

    backbone: tf.keras.Model

    head: tf.keras.Model | None = None
    """What is trained on top of the backbone and may be distilled later (`methods.s2bnn`): features → outputs."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._means = {name: Mean(name) for name in self.reported}
        self._micro_batches = 1
        self._make_views: Callable | None = None
        self.distribute_reduction_method = "first"  # what is reported is the same in all replicas

    def compile(
        self,
        optimizer: str | tf.keras.optimizers.Optimizer = "adam",
        *,
        micro_batches: int = 1,
        make_views: Callable | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure training.

        Args:
            optimizer: trains every network that `optimizer_groups` gives to no other.
            micro_batches: equal parts in which a batch is computed, one after another, before the optimizers step with
                the mean of their gradients. It saves memory. Batch norm sees the parts; all else is as if the batch
                were whole, where the loss is a mean over images.
            make_views: where the dataset has something else in place of the views: what makes views of it, on the
                device that trains. For instance of crops and draws, see `data.pipeline.training_views`.
            **kwargs: as `tf.keras.Model.compile`.
        """
        if micro_batches > 1 and self.compares_images:
            raise ValueError(f"{self.name} compares the images of a batch, which cannot be split into micro batches.")
        super().compile(optimizer=optimizer, **kwargs)
        self._micro_batches, self._make_views = micro_batches, make_views

    @property
    @abc.abstractmethod
    def networks(self) -> dict[str, tf.Module]:
        """Name → network (or variable) that belongs in a checkpoint: all that is trained."""

    @abc.abstractmethod
    def loss_terms(self, views: tuple[tf.Tensor, ...], *, training: bool) -> dict[str, tf.Tensor]:
        """Scalars of one batch: ``loss``, which is minimised, and any other to be shown beside it.

        Under a strategy with several replicas `views` is a replica's part of the batch; a scalar that is a mean
        over images may be that of this part, any other that of the global batch (`methods.common.distributed`).
        A method whose dataset holds more than views takes that as further arguments.
        """

    def after_step(self, **step_outputs: tf.Tensor) -> None:
        """What changes at every step besides by gradients, once the optimizers have stepped: nothing by default.

        Every replica calls it, with its own tensors of those that `step_outputs` names.
        """

    def optimizer_groups(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        """Pairs of an optimizer and the variables it updates."""
        return [(self.optimizer, self.trainable_variables)]

    @property
    def optimizers(self) -> dict[str, tf.keras.optimizers.Optimizer]:
        """Name → optimizer, for the checkpoint."""
        return {"optimizer": self.optimizer}

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.backbone(images, training=training)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        groups = self.optimizer_groups()
        variables = [variable for _, group in groups for variable in group]
        if self._micro_batches == 1:
            gradients, step_outputs = self._gradients(data, variables)
        else:
            gradients, step_outputs = self._accumulated_gradients(data, variables), {}
        waiting = iter(gradients)
        for optimizer, group in groups:
            optimizer.apply_gradients([(next(waiting), variable) for variable in group])
        self.after_step(**step_outputs)
        return self._report()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        terms, _ = self._terms(data, training=False)
        self._record(terms)
        return self._report()

    def _gradients(self, data: Any, variables: list[tf.Variable]) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Gradients of the replica's share of the loss, in float32, and the step outputs; the terms are recorded."""
        scaled = isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
        with tf.GradientTape() as tape:
            terms, step_outputs = self._terms(data, training=True)
            loss = loss_share(terms["loss"])
            if scaled:
                loss = self.optimizer.get_scaled_loss(loss)
        self._record(terms)
        gradients = tape.gradient(loss, variables)
        return (self.optimizer.get_unscaled_gradients(gradients) if scaled else gradients), step_outputs

    def _accumulated_gradients(self, data: Any, variables: list[tf.Variable]) -> list[tf.Tensor]:
        """Mean of the gradients of the micro batches, computed one after another, so that one part is in memory.

        A loop of the graph; on several replicas it is written out, since TensorFlow has no collectives in loops.
        """
        count = self._micro_batches

        def part_of(tensor: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
            if tensor.shape[0] is not None and tensor.shape[0] % count:
                raise ValueError(f"A batch of {tensor.shape[0]} images cannot be split into {count} equal parts.")
            size = tf.shape(tensor)[0] // count
            part = tensor[index * size : (index + 1) * size]
            return tf.ensure_shape(part, (tensor.shape[0] and tensor.shape[0] // count, *tensor.shape[1:]))

        def add_part(index: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            part = tf.nest.map_structure(lambda tensor: part_of(tensor, index), data)
            gradients, _ = self._gradients(part, variables)
            return index + 1, *(total + gradient / count for total, gradient in zip(sums, gradients, strict=True))

        sums = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            for number in range(count):
                with tf.control_dependencies(sums):
                    _, *sums = add_part(number, *sums)
            return sums
        _, *gradients = tf.while_loop(lambda index, *_: index < count, add_part, [0, *sums], parallel_iterations=1)
        return gradients

    def _terms(self, data: Any, training: bool) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """The scalars of `loss_terms`, and the step outputs."""
        views, *more = data
        if self._make_views is not None:
            views = self._make_views(*views)
        views = tuple(tf.cast(view, tf.float32) for view in views)  # they come as uint8, a quarter of the memory
        terms = dict(self.loss_terms(views, *more, training=training))
        step_outputs = {name: terms.pop(name) for name in self.step_outputs}
        return terms, step_outputs

    def _record(self, terms: dict[str, tf.Tensor]) -> None:
        if set(terms) != set(self._means):
            raise ValueError(f"{type(self).__name__} reports {sorted(self._means)}, but gave {sorted(terms)}.")
        for name, value in mean_of_terms(terms).items():
            self._means[name].update_state(value)

    def _report(self) -> dict[str, tf.Tensor]:
        """Means over the steps since the last reset."""
        return {name: mean.result() for name, mean in self._means.items()}

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return list(self._means.values())
