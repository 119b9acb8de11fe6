import json
import os

import pytest

from bssl_tf.models import BackboneSpec, build_backbone, load_backbone, save_backbone
from tests.models.networks import randomised, spec_of


@pytest.fixture
def saved(tmp_path):
    spec = spec_of("reactnet_small", channels=1, stages=1)
    save_backbone(randomised(spec), spec, tmp_path)
    return tmp_path


def test_json_keeps_every_field():
    shape = dict(width=64, depth=2, stages=2, dense=5)
    spec = spec_of("reactnet_small", 28, 1, "binary_activations", quantizer="approx_sign", **shape)
    assert BackboneSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(name="vgg"), ["vgg", "reactnet_small", "resnet50"]),
        (dict(mode="ternary"), ["ternary", "binary_activations"]),
        (dict(quantizer="ste_tern"), ["ste_tern", "--quantizer", "magnitude_aware_sign"]),
        (dict(name="quicknet", mode="float"), ["quicknet", "float", "Larq Zoo"]),
        (dict(name="resnet18", mode="binary"), ["resnet18", "teacher"]),
        (dict(name="quicknet", image_size=31), ["--image_size=31", "quicknet", "32"]),
        (dict(image_size=7), ["--image_size=7", "8"]),
        (dict(channels=2), ["--channels", "1, 3"]),
        (dict(mean=(1, 2)), ["mean", "3 number"]),
        (dict(std=(1, 1, 0)), ["std", "above 0"]),
        (dict(depth=0), ["depth", "at least 1"]),
        (dict(stem="huge"), ["stem", "huge", "large"]),
    ],
)
def test_bad_values_are_named(changes, words):
    values = dict(name="reactnet_small", image_size=32, channels=3, mean=(1, 1, 1), std=(1, 1, 1))
    with pytest.raises(ValueError) as error:
        BackboneSpec(**{**values, **changes})
    for word in words:
        assert word in str(error.value)


def test_overrides_change_the_mode_but_not_the_weights(saved):
    model, spec = load_backbone(saved, mode="float")
    assert spec.mode == "float"
    assert all(layer.input_quantizer is None for layer in model.layers if hasattr(layer, "input_quantizer"))


def test_saving_leaves_only_two_files(saved):
    assert sorted(os.listdir(saved)) == ["backbone.json", "backbone.weights.h5"]


@pytest.mark.parametrize("file", ["backbone.json", "backbone.weights.h5"])
def test_missing_file(saved, file):
    (saved / file).unlink()
    with pytest.raises(FileNotFoundError, match=file):
        load_backbone(saved)


@pytest.mark.parametrize("text", ["{", "[]", '"text"', "{}", '{"name": "reactnet_small", "colour": "red"}'])
def test_damaged_description(saved, text):
    (saved / "backbone.json").write_text(text)
    with pytest.raises(ValueError, match="backbone.json"):
        load_backbone(saved)


def test_damaged_weights(saved):
    file = saved / "backbone.weights.h5"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ValueError, match="backbone.weights.h5 is damaged"):
        load_backbone(saved)


@pytest.mark.parametrize(
    "change", [dict(width=16), dict(stages=2), dict(dense=8), dict(name="reactnet_a", image_size=32)]
)
def test_weights_of_another_network(saved, change):
    description = json.loads((saved / "backbone.json").read_text())
    (saved / "backbone.json").write_text(json.dumps({**description, **change}))
    with pytest.raises(ValueError, match="backbone.weights.h5 does not fit"):
        load_backbone(saved)


def test_saving_replaces_the_earlier_network(saved):
    spec = spec_of("reactnet_small", channels=1, stages=1, width=8)
    save_backbone(build_backbone(spec), spec, saved)
    assert load_backbone(saved)[1] == spec
