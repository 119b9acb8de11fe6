"""Linear evaluation as in the paper: a classifier on the frozen network, SGD on augmented crops.

Momentum 0.9, learning rate 0.01 divided by 10 after epochs 60 and 80 of 100, batches of 256 (see `--sgd_…`). Crops and
flips are those of the run's training; colours stay as they are.
"""

from bssl_tf.evaluation.protocols.base import Network, Protocol, Score, Task, keras_only
from bssl_tf.evaluation.protocols.finetune import accuracy_of


class LinearSgd(Protocol):
    """Accuracy of a classifier trained by SGD on the frozen network."""

    name = "linear_sgd"
    reads = ("sgd_epochs", "sgd_milestones", "sgd_learning_rate", "sgd_batch_size")
    reads_views = ("crop_min", "crop_max", "flip")
    requirement = "It needs a Keras backbone, such as WORKDIR/stage2."

    def applies_to(self, network: Network) -> bool:
        return keras_only(network)

    def run(self, task: Task) -> list[Score]:
        import tensorflow as tf

        from bssl_tf.evaluation.protocols.classifier_training import ClassifierTraining, train_classifier
        from bssl_tf.models import BackboneSpec
        from bssl_tf.models.classifier import build_classifier

        settings, images = self.settings, task.data.train
        batch_size = min(settings.sgd_batch_size, images.num_examples)
        steps_per_epoch = images.num_examples // batch_size
        milestones = [epoch * steps_per_epoch for epoch in settings.milestones]
        rates = [settings.sgd_learning_rate / 10**passed for passed in range(len(milestones) + 1)]
        schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay(milestones, rates) if milestones else rates[0]
        classifier = build_classifier(BackboneSpec(**task.network.backbone_fields), task.data.class_names, task.model())
        training = ClassifierTraining(
            tf.keras.optimizers.SGD(schedule, momentum=0.9),
            steps=settings.sgd_epochs * steps_per_epoch,
            batch_size=batch_size,
            views=task.views,
            seed=settings.seed,
            train_backbone=False,
        )
        train_classifier(classifier, images, training, task.progress)
        accuracy, confusion = accuracy_of(classifier, task.data)
        return [Score("linear, SGD on crops", accuracy, images.num_examples, details={"confusion": confusion})]
