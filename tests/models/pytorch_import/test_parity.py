"""The same weights in transformers' PyTorch ResNet and in ours give the same pooled features."""

import numpy as np
import pytest

from bssl_tf.models import load_teacher
from bssl_tf.models.pytorch_import.convert import import_teacher, save_teacher
from tests.models.pytorch_import.public_checkpoints import resnet_shapes

torch = pytest.importorskip("torch", reason="reading .pth needs PyTorch: pip install '.[test]'")
transformers = pytest.importorskip("transformers", reason="the independent ResNet: pip install '.[test]'")

KINDS = {
    "resnet18": dict(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"),
    "resnet34": dict(depths=[3, 4, 6, 3], hidden_sizes=[64, 128, 256, 512], layer_type="basic"),
    "resnet50": dict(depths=[3, 4, 6, 3], hidden_sizes=[256, 512, 1024, 2048], layer_type="bottleneck"),
}
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def random_network(name):
    torch.manual_seed(0)
    model = transformers.ResNetModel(transformers.ResNetConfig(**KINDS[name])).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low, high in (
                (module.weight.data, 0.3, 1.2),
                (module.bias.data, -0.3, 0.3),
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
            ):
                values.uniform_(low, high)
    return model


def as_in_torchvision(model):
    """transformers' names → torchvision's."""
    parts = {"convolution": "conv", "normalization": "bn"}
    tensors = {}
    for name, values in model.state_dict().items():
        *path, kind, tensor = name.split(".")
        if path[0] == "embedder":
            module = f"{parts[kind]}1"
        elif path[5] == "shortcut":
            module = f"layer{int(path[2]) + 1}.{path[4]}.downsample.{list(parts).index(kind)}"
        else:
            module = f"layer{int(path[2]) + 1}.{path[4]}.{parts[kind]}{int(path[6]) + 1}"
        tensors[f"{module}.{tensor}"] = values
    return tensors


def check_parity(model, folder, size, channels=3):
    images = np.random.default_rng(size).integers(0, 256, (2, size, size, channels)).astype(np.float32)
    scaled = ((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(scaled)).pooler_output.flatten(1).numpy()
    teacher, description = load_teacher(folder, image_size=size, channels=channels)
    features = teacher(images, training=False).numpy()
    assert expected.shape == features.shape and expected.std() > 0.01 * np.abs(expected).max()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert f"{size}×{size}×{channels}" in description
    return description


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    """A ResNet-50 of PyTorch, and the same one imported from a checkpoint in MoCo's layout."""
    folder = tmp_path_factory.mktemp("resnet50")
    model = random_network("resnet50")
    tensors = {f"module.encoder_q.{name}": values for name, values in as_in_torchvision(model).items()}
    torch.save({"epoch": 800, "arch": "resnet50", "state_dict": tensors}, folder / "moco.pth.tar")
    teacher = import_teacher(folder / "moco.pth.tar")
    save_teacher(teacher, folder / "teacher")
    assert teacher.spec.name == "resnet50" and teacher.pixels == "imagenet"
    return model, folder / "teacher"


@pytest.mark.parametrize("size", [224, 97])
def test_resnet50(resnet50, size):
    check_parity(*resnet50, size)


def test_grey_images_and_small_ones_go_through_the_same_layers(resnet50):
    """28×28×1, Fashion-MNIST's size: the channel three times, and still the large stem."""
    assert "channel three times" in check_parity(*resnet50, 28, channels=1)


def test_resnet_of_basic_blocks(tmp_path):
    model = random_network("resnet18")
    torch.save(as_in_torchvision(model), tmp_path / "plain.pth")
    save_teacher(import_teacher(tmp_path / "plain.pth"), tmp_path / "teacher")
    check_parity(model, tmp_path / "teacher", 75)


@pytest.mark.parametrize("name", KINDS)
def test_the_names_in_these_tests_are_those_of_a_resnet(name):
    with torch.device("meta"):
        model = transformers.ResNetModel(transformers.ResNetConfig(**KINDS[name]))
    shapes = {key: tuple(values.shape) for key, values in as_in_torchvision(model).items()}
    assert shapes == resnet_shapes(name)
