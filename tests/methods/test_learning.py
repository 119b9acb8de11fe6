"""Every method learns: after two epochs on the digits its binary student has better neighbours than at random."""

import numpy as np
import pytest
import tensorflow as tf

from bssl_tf.config.training import DataSettings, ViewSettings
from bssl_tf.data import evaluation_images, load_source, steps_per_epoch, training_views
from bssl_tf.evaluation.features import extract_features
from bssl_tf.evaluation.protocols.knn import knn_accuracy
from bssl_tf.methods.registry import create, description, method_names
from bssl_tf.models import BackboneSpec, build_backbone
from bssl_tf.training.training_data import label_lookup

IMAGES = dict(image_size=8, channels=1)
VIEWS = ViewSettings(flip=False, crop_min=0.5, brightness=0.2, contrast=0.2, local_crops=2, local_crop_max=0.4)
BATCH, EPOCHS = 64, 2
OPTIONS = {
    "bssl": dict(pseudo_classes=64),
    "byol": dict(hidden_size=64, projection_size=32, momentum=0.9),
    "moco_v2": dict(queue_size=512, momentum=0.9),
    "swav": dict(prototypes=32),
}


class Digits:
    """Training and test images with their labels, as far as `label_lookup` asks for them."""

    def __init__(self):
        self.train, self.test = (load_source(DataSettings(dataset="digits"), split) for split in ("train", "test"))

    def accuracy(self, backbone):
        features = [
            extract_features(backbone, evaluation_images(source, **IMAGES)) for source in (self.train, self.test)
        ]
        return knn_accuracy(features[0], self.train.labels, features[1], self.test.labels, k=20)

    def fit(self, method, name, epochs):
        described = description(name)
        views = training_views(
            self.train,
            **IMAGES,
            views=VIEWS,
            seed=0,
            batch_size=BATCH,
            epochs=epochs,
            num_local_crops=VIEWS.local_crops if described.multi_crop else 0,
            targets=label_lookup(self) if "num_classes" in described.needs else None,
        )
        method.compile(tf.keras.optimizers.Adam(3e-3))
        return method.fit(views, verbose=0).history


@pytest.fixture(scope="module")
def digits():
    return Digits()


def backbone(name, **kwargs):
    return build_backbone(BackboneSpec(name, **IMAGES, width=16, stages=1, mean=(78.0,), std=(96.0,), **kwargs))


@pytest.fixture(scope="module")
def teacher(digits):
    tf.keras.utils.set_random_seed(0)
    method = create("simclr", {}, backbone=backbone("resnet_small", mode="float"))
    digits.fit(method, "simclr", epochs=6)
    return method


@pytest.mark.parametrize("name", method_names())
def test_two_epochs_improve_the_neighbours(name, digits, teacher):
    tf.keras.utils.set_random_seed(1)
    student = backbone("reactnet_small")
    steps = EPOCHS * steps_per_epoch(digits.train, BATCH)
    given = dict(teacher=teacher.backbone, teacher_head=teacher.head, num_classes=10, total_steps=steps)
    method = create(name, OPTIONS.get(name, {}), backbone=student, **given)
    before = digits.accuracy(student)
    history = digits.fit(method, name, EPOCHS)
    assert np.all(np.isfinite(history["loss"]))
    assert digits.accuracy(student) > before + 0.05, (before, history)
