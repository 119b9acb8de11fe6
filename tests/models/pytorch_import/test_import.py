"""From a file to a folder for --teacher; what is refused, and how."""

import argparse
import json
import pickle

import numpy as np
import pytest

from bssl_tf.files import sha256
from bssl_tf.models import build_backbone, load_head, load_teacher
from bssl_tf.models.pixels import PIXEL_RANGES
from bssl_tf.models.pytorch_import.checkpoint_files import read_checkpoint
from bssl_tf.models.pytorch_import.convert import import_teacher, save_teacher
from bssl_tf.models.pytorch_import.layouts import recognise
from bssl_tf.models.pytorch_import.weights import fill_resnet, head_from
from tests.models.pytorch_import.public_checkpoints import (
    classifier,
    linear,
    momentum,
    prefixed,
    resnet_tensors,
    sequential,
    two_layers,
    with_batch_norm,
)  # fmt: skip

RESNET = resnet_tensors()
FEATURES = np.random.default_rng(3).normal(size=(4, 512)).astype(np.float32)


def write(path, tensors):
    """Write a checkpoint of the kind that the file's name says."""
    if path.suffix == ".npz":
        np.savez(path, **tensors)
    elif path.suffix == ".safetensors":
        pytest.importorskip("safetensors.numpy", reason="pip install '.[test]'").save_file(tensors, path)
    else:
        torch = pytest.importorskip("torch", reason="pip install '.[test]'")
        torch.save({name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}, path)
    return path


@pytest.fixture(scope="module")
def moco(tmp_path_factory):
    tensors = prefixed("module.encoder_q.", RESNET | prefixed("fc.", two_layers())) | {"module.queue": np.zeros(4)}
    return write(tmp_path_factory.mktemp("moco") / "moco.npz", tensors)


@pytest.fixture(scope="module")
def teacher(moco):
    return import_teacher(moco, keep_head=True)


@pytest.fixture(scope="module")
def resnet18(teacher):
    return build_backbone(teacher.spec)


def test_leaves_a_folder_for_teacher(moco, teacher, tmp_path):
    save_teacher(teacher, tmp_path / "out", moco.name)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "backbone.json", "backbone.weights.h5", "imported.json", "projection.json", "projection.weights.h5",
    ]  # fmt: skip
    origin = json.loads((tmp_path / "out" / "imported.json").read_text())
    assert origin["layout"] == "MoCo v1 or v2" and origin["source"] == "moco.npz"
    assert origin["sha256"] == teacher.sha256 == sha256(moco)
    assert origin["dropped"] == {"queue of negatives": 1}

    loaded, description = load_teacher(tmp_path / "out", image_size=40, channels=3)
    assert loaded.input_shape == (None, 40, 40, 3) and loaded.output_shape == (None, 512) and "resnet18" in description
    kernel = loaded.get_layer("layer3.0.downsample.0").get_weights()[0]
    np.testing.assert_array_equal(kernel[0, 0], RESNET["layer3.0.downsample.0.weight"][:, :, 0, 0].T)

    first, second = two_layers()["0.weight"], two_layers()["2.weight"]
    expected = np.maximum(FEATURES @ first.T + two_layers()["0.bias"], 0) @ second.T + two_layers()["2.bias"]
    np.testing.assert_allclose(load_head(tmp_path / "out")(FEATURES), expected, rtol=1e-4, atol=1e-5)


def test_the_head_stays_behind_unless_asked_for(moco):
    teacher = import_teacher(moco)
    assert teacher.head is None and teacher.dropped["projection head"] == 4


def test_existing_output_stays(teacher, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists: name a new folder"):
        save_teacher(teacher, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("kind", [".safetensors", ".pth", ".pth.tar", ".npz"])
def test_kinds_of_files_hold_the_same(tmp_path, kind):
    tensors = read_checkpoint(write(tmp_path / f"resnet{kind}", RESNET | classifier()))
    assert tensors.keys() == (RESNET | classifier()).keys()
    for name, values in RESNET.items():
        np.testing.assert_array_equal(tensors[name], values)


def test_a_whole_training_checkpoint(tmp_path):
    """Nested, with optimizer and parsed flags, in 16 bits."""
    torch = pytest.importorskip("torch", reason="pip install '.[test]'")
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in RESNET.items()}
    content = {
        "teacher": prefixed("module.backbone.", {name: values.to(torch.bfloat16) for name, values in tensors.items()}),
        "student": prefixed("module.backbone.", tensors),
        "optimizer": momentum(tensors),
        "epoch": 7,
        "args": argparse.Namespace(arch="resnet18"),
    }
    torch.save(content, tmp_path / "dino.pth")
    teacher = import_teacher(tmp_path / "dino.pth")
    assert teacher.layout == "DINO, teacher" and teacher.dropped["optimizer state"] == 2
    mean = teacher.model.get_layer("bn1").get_weights()[2]
    np.testing.assert_allclose(mean, RESNET["bn1.running_mean"], rtol=2**-8)


def test_pixels(tmp_path):
    swav = RESNET | prefixed("projection_head.", with_batch_norm())
    file = write(tmp_path / "swav.npz", swav)
    teacher = import_teacher(file, pixels="0..1")
    assert teacher.spec.mean == (0, 0, 0) and teacher.spec.std == (255, 255, 255)
    assert teacher.layout == "SwAV" and teacher.dropped == {"projection head": 8}
    assert PIXEL_RANGES["swav"].std[0] == pytest.approx(0.228 * 255)


def test_head_with_batch_norm():
    tensors = with_batch_norm()
    hidden = FEATURES @ tensors["0.weight"].T + tensors["0.bias"]
    hidden = (hidden - tensors["1.running_mean"]) / np.sqrt(tensors["1.running_var"] + 1e-5)
    hidden = np.maximum(hidden * tensors["1.weight"] + tensors["1.bias"], 0)
    expected = hidden @ tensors["3.weight"].T + tensors["3.bias"]
    plain = {name: values for name, values in tensors.items() if not name.endswith("tracked")}
    np.testing.assert_allclose(head_from(plain)(FEATURES), expected, rtol=1e-4, atol=1e-4)


def test_head_of_one_layer():
    tensors = linear(512, 8)
    np.testing.assert_allclose(
        head_from(tensors)(FEATURES), FEATURES @ tensors["weight"].T + tensors["bias"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (sequential({0: linear(8, 4), 5: linear(4, 2)}), "unknown layers after number 0"),
        (sequential({0: linear(8, 4), 2: linear(5, 2)}), "do not fit together"),
        ({"l1.weight": np.zeros((4, 8))}, "l1.weight"),
        ({"0.weight": np.zeros((4, 8, 3))}, "layer 0"),
    ],
)
def test_heads_that_are_no_row_of_layers(tensors, words):
    with pytest.raises(ValueError, match=words):
        head_from(tensors)


def without(name):
    return {key: values for key, values in RESNET.items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (without("layer2.0.bn1.running_var"), ["resnet18", "1 (layer2.0.bn1.running_var) missing", "0 unexpected"]),
        (RESNET | {"layer1.0.se.fc1.weight": np.zeros(3)}, ["0 missing", "1 (layer1.0.se.fc1.weight) unexpected"]),
        (RESNET | {"attnpool.weight": np.zeros(3)}, ["attnpool.weight", "unexpected"]),
        (prefixed("encoder_q.", without("bn1.bias")), ["1 (bn1.bias) missing"]),
        (RESNET | {"conv1.weight": np.zeros((64, 1, 7, 7))}, ["conv1.weight", "(7, 7, 1, 64)", "(7, 7, 3, 64)"]),
        (RESNET | {"conv1.weight": np.zeros((64, 3, 3, 3))}, ["(3, 3, 3, 64)", "other stems"]),
        (RESNET | {"bn1.weight": np.full(64, np.nan)}, ["bn1.weight", "undefined"]),
    ],
)
def test_tensors_of_something_else(resnet18, tensors, words):
    found = recognise(tensors)
    with pytest.raises(ValueError) as error:
        fill_resnet(resnet18, found.backbone, found.unexpected)
    for word in words:
        assert word in str(error.value)


def test_unexpected_tensors_reach_the_user(tmp_path):
    tensors = RESNET | {f"attnpool.{index}.weight": np.zeros(3) for index in range(99)}
    with pytest.raises(ValueError, match="0 missing; 99 .*attnpool.5.weight, and 93 more.* unexpected"):
        import_teacher(write(tmp_path / "clip.npz", tensors))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (RESNET | {"layer3.2.conv1.weight": np.zeros(3)}, ["2 + 2 + 3 + 2 basic blocks", "only ResNet-18"]),
        (RESNET | {"layer1.0.conv3.weight": np.zeros(3)}, ["2 + 2 + 2 + 2 bottlenecks", "only ResNet-18"]),
        ({f"features.{index}.weight": np.zeros(3) for index in range(99)}, ["no known layout", "99", "MoCo", "SwAV"]),
    ],
)
def test_checkpoints_of_something_else(tmp_path, tensors, words):
    with pytest.raises(ValueError) as error:
        import_teacher(write(tmp_path / "other.npz", tensors))
    for word in words:
        assert word in str(error.value)
    assert len(str(error.value)) < 1500


def test_a_head_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="--keep_head"):
        import_teacher(write(tmp_path / "plain.npz", RESNET), keep_head=True)


class Bomb:
    """Its pickle runs a command when it is read without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch = pytest.importorskip("torch", reason="pip install '.[test]'")
    torch.save({"state_dict": {}, "bomb": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pth")
    with pytest.raises(ValueError, match="open.*tensors alone"):
        import_teacher(tmp_path / "bomb.pth")
    np.savez(tmp_path / "bomb.npz", x=np.array([Bomb(tmp_path / "exploded")], dtype=object))
    with pytest.raises(ValueError, match="bomb.npz"):
        import_teacher(tmp_path / "bomb.npz")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"bomb": Bomb(tmp_path / "exploded")}, protocol=2))
    with pytest.raises(ValueError, match="plain.pth"):
        import_teacher(tmp_path / "plain.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("file", "words"),
    [("nothing.npz", "is no file"), ("x.onnx", ".safetensors"), ("x.npz", "x.npz"), ("x.safetensors", "x.safetensors")],
)
def test_files_that_are_none(tmp_path, file, words):
    (tmp_path / "x.onnx").write_bytes(b"1234")
    (tmp_path / "x.npz").write_bytes(b"1234")
    (tmp_path / "x.safetensors").write_bytes(b"1234")
    with pytest.raises(ValueError, match=words):
        import_teacher(tmp_path / file)


def test_damaged_pytorch_file(tmp_path):
    path = write(tmp_path / "x.pth", {"conv1.weight": np.zeros(3)})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="damaged, or no checkpoint"):
        import_teacher(path)


def test_no_tensors(tmp_path):
    with pytest.raises(ValueError, match="no tensors"):
        import_teacher(write(tmp_path / "empty.npz", {}))
