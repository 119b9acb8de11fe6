"""Training with labels, on the smallest binary network and images that tell their class by their brightness."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.training import DataSettings, ViewSettings
from bssl_tf.data import evaluation_images, load_source, training_views
from bssl_tf.data.sources import folder
from bssl_tf.data.sources.arrays import ArraySource
from bssl_tf.data.sources.subset import SubsetSource
from bssl_tf.deploy import TfliteBackbone, compare, convert_backbone
from bssl_tf.evaluation.labelled_data import labelled
from bssl_tf.evaluation.protocols.base import Network, Task
from bssl_tf.evaluation.protocols.classifier_training import (
    ClassifierTraining,
    learning_rate_multipliers,
    train_classifier,
)
from bssl_tf.evaluation.protocols.finetune import Finetune, Scratch, accuracy_of
from bssl_tf.evaluation.protocols.linear import fit_linear
from bssl_tf.evaluation.protocols.linear_sgd import LinearSgd
from bssl_tf.models import BackboneSpec, build_backbone
from bssl_tf.models.classifier import build_classifier, load_classifier, save_classifier

SPEC = BackboneSpec("reactnet_small", 8, 1, (128.0,), (64.0,), width=8, stages=1)
VIEWS = ViewSettings(crop_min=0.5).without_colours()


class Silent:
    losses: ClassVar[list[float]] = []

    def show(self, numbers):
        Silent.losses.append(numbers["loss"])

    def advance(self, step):
        Silent.steps = step

    def close(self):
        pass


def watch(*_):
    Silent.losses = []
    return Silent()


def stripes(count, seed):
    """Three classes: bright at the top, in the middle, at the bottom; a crop or a flip leaves the class."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = random.integers(0, 100, (count, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, :, 0] += (0, 70, 140)[label]
    return ArraySource("stripes", images.astype(np.uint8), labels, ["top", "middle", "bottom"])


@pytest.fixture(scope="module")
def data():
    return labelled("stripes", stripes(90, 0), stripes(60, 1), {"dataset": "stripes"})


def network(pretrained=True):
    def load():
        tf.keras.utils.set_random_seed(0)
        return build_backbone(SPEC)

    return Network("student", "0123456789", load, spec=vars(SPEC) | {"mode": SPEC.mode}, pretrained=pretrained)


def task(data, folder, pretrained=True):
    given, model = network(pretrained), None

    def loaded():
        nonlocal model
        model = model or given.load()
        return model

    def features(split):
        source = getattr(data, split)
        return loaded().predict(source.decode(np.arange(source.num_examples)).numpy().astype(np.float32), verbose=0)

    return Task(given, data, loaded, features, VIEWS, folder, watch, lambda line: None)


def test_a_subset_has_its_images_ids_and_labels_in_every_order():
    source = load_source(DataSettings(), "train")
    places = np.array([3, 10, 11, 500, 1400])
    subset = SubsetSource(source, places)
    assert subset.num_examples == 5 and subset.labels.tolist() == source.labels[places].tolist()
    assert subset.ids.tolist() == source.ids[places].tolist()
    shuffled = [example["id"] for example in subset.examples(epoch=2, seed=1).as_numpy_iterator()]
    assert sorted(shuffled) == subset.ids.tolist() and shuffled != sorted(shuffled)
    for example in subset.examples().take(2):
        whole = source.decode(source.ids.tolist().index(int(example["id"])))
        assert np.array_equal(subset.decode(example["record"]), whole)
    assert subset.fingerprint != SubsetSource(source, places + 1).fingerprint != source.fingerprint


def test_a_subset_of_a_folder_has_its_images(tmp_path):
    for number in range(8):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.{'png' if number % 2 else 'jpg'}")
    source = folder.load(tmp_path, "train", holdout=0.0, progress=False)
    subset = SubsetSource(source, np.array([1, 4, 6]))
    shown = evaluation_images(source, image_size=8, channels=1)
    (batch,) = evaluation_images(subset, image_size=8, channels=1)
    np.testing.assert_array_equal(batch, np.concatenate(list(shown))[[1, 4, 6]])
    (((view,),),) = training_views(
        subset, image_size=8, channels=1, views=VIEWS, seed=0, batch_size=3, epochs=1, num_views=1
    )
    assert sorted(view.numpy()[:, 0, 0, 0]) == sorted(batch.numpy()[:, 0, 0, 0])


def test_fine_tuning_learns_stays_binary_and_converts(data, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bssl-evaluate"])
    told = []
    settings = EvaluationSettings(labels="30", finetune_steps=60, finetune_learning_rate=0.01)
    protocol = Finetune(settings)
    protocol.check(data)
    given = dataclasses.replace(task(data, tmp_path), log=told.append)
    (score,) = protocol.run(given, **protocol.parts()[0])
    assert told[0].endswith(f" labels: bssl-convert --classifier={tmp_path / score.details['classifier']}")
    assert score.value > 0.8 and score.images == 30 and score.labels == "30 labels"
    assert np.sum(score.details["confusion"]) == 60 and np.trace(score.details["confusion"]) == score.value * 60
    assert len(list((tmp_path / "subsets").iterdir())) == 1

    classifier = load_classifier(tmp_path / score.details["classifier"])
    assert classifier.spec == SPEC and classifier.class_names == ("top", "middle", "bottom")
    assert accuracy_of(classifier, data)[0] == score.value
    content = convert_backbone(classifier.model, output="logits")
    file = TfliteBackbone(content)
    assert file.report.operators["LceBconv2d"] == 3 and file.report.outputs[0].name == "logits"
    images = data.test.decode(np.arange(60)).numpy()
    assert compare(classifier.model, content, [images]).check().images == 60
    in_lce = file.outputs(images, ("logits",))[0].argmax(1)
    assert np.mean(in_lce == classifier.model.predict(images.astype(np.float32), verbose=0).argmax(1)) > 0.95


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_fit_is_a_dense_layer_too(classes):
    random = np.random.default_rng(0)
    labels = np.arange(90) % classes
    x = (random.normal(size=(90, 5)) + labels[:, np.newaxis]).astype(np.float32) * [1, 10, 100, 1, 1] + 7
    fit = fit_linear(x, labels)
    kernel, bias = fit.dense(4)
    assert kernel.shape == (5, 4) and bias.shape == (4,) and 0.5 < fit.accuracy(x, labels) < 1
    np.testing.assert_array_equal((x @ kernel + bias)[:, :classes].argmax(axis=1), fit.predict(x))
    assert not kernel[:, classes:].any() and bias[classes:].tolist() == [bias.min()] * (4 - classes)


def test_fine_tuning_starts_as_the_linear_fit_and_from_scratch_at_zero(data):
    first_losses = {}
    for name, protocol, options in (
        ("linear", Finetune, {}),
        ("zero", Finetune, dict(finetune_start="zero")),
        ("scratch", Scratch, {}),
    ):
        settings = EvaluationSettings(labels="30", finetune_steps=1, finetune_layers="head", **options)
        protocol(settings).run(task(data, None), amount="30", draw=0)
        (first_losses[name],) = Silent.losses
    assert first_losses["zero"] == pytest.approx(np.log(3), abs=1e-4) == first_losses["scratch"]
    assert first_losses["linear"] < 0.9 * first_losses["zero"]


def test_head_only_and_the_papers_linear_protocol_leave_the_network_alone(data, tmp_path):
    given = task(data, None)
    before = given.model().get_weights()
    settings = EvaluationSettings(sgd_epochs=12, sgd_milestones="6,9", sgd_batch_size=30, sgd_learning_rate=0.1)
    (score,) = LinearSgd(settings).run(given)
    assert Silent.steps == 36 and Silent.losses[-1] < Silent.losses[0] == pytest.approx(np.log(3), abs=1e-4)
    assert score.value > 0.5 and score.images == 90
    LinearSgd(EvaluationSettings(sgd_epochs=1, sgd_milestones="", sgd_batch_size=30)).run(given)
    assert all(np.array_equal(*pair) for pair in zip(before, given.model().get_weights(), strict=True))


def test_layers_near_the_input_learn_more_slowly():
    backbone = network().load()
    multipliers = list(learning_rate_multipliers(backbone, 0.01).values())
    assert multipliers[0] == pytest.approx(0.01) and multipliers == sorted(multipliers) and multipliers[-1] < 1
    ratios = np.diff(np.log(multipliers))
    assert np.allclose(ratios, ratios[0])

    classifier, images = build_classifier(SPEC, ("a", "b", "c"), backbone), stripes(30, 0)
    weights = [layer for layer in backbone.layers if layer.trainable_weights]
    classifier.head.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in classifier.head.get_weights()])
    before = [layer.get_weights()[0] for layer in weights]
    recipe = ClassifierTraining(tf.keras.optimizers.Adam(0.001), 1, 30, VIEWS, seed=0, layerwise_lr_decay=0.01)
    train_classifier(classifier, images, recipe, watch)
    moved = [np.abs(layer.get_weights()[0] - old).max() for layer, old in zip(weights, before, strict=True)]
    assert moved[0] == pytest.approx(0.001 * multipliers[0], rel=0.05)  # Adam's first step is the learning rate
    assert moved[-1] == pytest.approx(0.001 * multipliers[-1], rel=0.05)


def test_who_is_judged_by_what():
    binary, random = network(), network(pretrained=False)
    teacher = Network("teacher", "1", None, spec={"mode": "float"})
    file = Network("a.tflite", "2", None)
    settings = EvaluationSettings()
    judged = {
        protocol.name: [protocol(settings).applies_to(n) for n in (binary, random, teacher, file)]
        for protocol in (Finetune, Scratch, LinearSgd)
    }
    assert judged == {
        "finetune": [True, False, False, False],
        "scratch": [False, True, False, False],
        "linear_sgd": [True, True, True, False],
    }


def test_a_damaged_classifier_is_refused(tmp_path):
    classifier = build_classifier(SPEC, ("a", "b"), network().load())
    save_classifier(classifier, tmp_path, {})
    (tmp_path / "classifier.json").write_text('{"class_names": ["a", "b", "c"], "facts": {}}')
    with pytest.raises(ValueError, match="classifier.weights.h5 does not fit the classifier that classifier.json"):
        load_classifier(tmp_path)
