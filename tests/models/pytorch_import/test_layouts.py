"""Every layout, from the names that its authors' code writes."""

import numpy as np
import pytest

from bssl_tf.models.pytorch_import.layouts import LAYOUTS, recognise
from tests.models.pytorch_import.public_checkpoints import (
    batch_norm,
    classifier,
    linear,
    numbered,
    prefixed,
    resnet_tensors,
    two_layers,
    with_batch_norm,
)  # fmt: skip

RESNET = resnet_tensors()
PLAIN = {name: values for name, values in RESNET.items() if not name.endswith("num_batches_tracked")}
QUEUE = {"module.queue": np.zeros((16, 8)), "module.queue_ptr": np.zeros(1)}
PROJECTOR = with_batch_norm(bias=False)
NUMBERED = numbered(RESNET)

CHECKPOINTS = {
    "MoCo v1 or v2": prefixed(
        "state_dict.",
        prefixed("module.encoder_q.", RESNET | prefixed("fc.", two_layers()))
        | prefixed("module.encoder_k.", RESNET | prefixed("fc.", two_layers()))
        | QUEUE,
    )
    | {"optimizer.state.0.momentum_buffer": np.zeros(3)},
    "MoCo v3": prefixed(
        "state_dict.module.",
        prefixed("base_encoder.", RESNET | prefixed("fc.", PROJECTOR))
        | prefixed("momentum_encoder.", RESNET | prefixed("fc.", PROJECTOR))
        | prefixed("predictor.", PROJECTOR),
    ),
    "SwAV": prefixed(
        "module.",
        RESNET | prefixed("projection_head.", with_batch_norm()) | {"prototypes.weight": np.zeros((30, 16))},
    ),
    "DINO, teacher": prefixed("teacher.module.backbone.", RESNET)
    | prefixed("student.module.backbone.", RESNET)
    | prefixed("teacher.module.head.mlp.", two_layers())
    | {"student.module.head.last_layer.weight_g": np.zeros(3), "dino_loss.center": np.zeros((1, 3))},
    "BYOL (lucidrains)": prefixed("net.", RESNET | classifier())
    | prefixed("online_encoder.net.", RESNET | classifier())
    | prefixed("online_encoder.projector.", with_batch_norm())
    | prefixed("target_encoder.net.", RESNET | classifier())
    | prefixed("online_predictor.", with_batch_norm(16)),
    "BYOL (yaox12)": prefixed(
        "model.module.",
        prefixed("online_network.encoder.", NUMBERED)
        | prefixed("online_network.projetion.l1.", linear(512, 8))
        | prefixed("online_network.projetion.bn1.", batch_norm(8))
        | prefixed("target_network.encoder.", NUMBERED)
        | prefixed("predictor.predictor.l1.", linear(8, 8)),
    ),
    "BYOL (yaox12), backbone": prefixed("online_backbone.module.", RESNET),
    "BYOL (sthalles)": prefixed("online_network_state_dict.encoder.", NUMBERED)
    | prefixed("online_network_state_dict.projetion.net.", with_batch_norm())
    | prefixed("encoder_state_dict.", NUMBERED)
    | prefixed("target_network_state_dict.encoder.", NUMBERED)
    | {"optimizer_state_dict.state.0.momentum_buffer": np.zeros(3)},
    "SimSiam": prefixed("state_dict.module.encoder.", RESNET | prefixed("fc.", PROJECTOR))
    | prefixed("state_dict.module.predictor.", with_batch_norm(16)),
    "SimCLR (Spijkervet)": prefixed("encoder.", RESNET) | prefixed("projector.", two_layers()),
    "SimCLR (sthalles)": prefixed("state_dict.backbone.", RESNET | prefixed("fc.", two_layers())),
    "Barlow Twins, training": prefixed(
        "model.module.",
        prefixed("backbone.", RESNET) | prefixed("projector.", PROJECTOR) | prefixed("bn.", batch_norm(16, False)),
    ),
    "solo-learn": prefixed(
        "state_dict.",
        prefixed("backbone.", RESNET)
        | prefixed("momentum_backbone.", RESNET)
        | prefixed("projector.", with_batch_norm())
        | prefixed("classifier.", linear(512, 10)),
    ),
    "VICReg, training": prefixed(
        "model.module.", prefixed("backbone.", RESNET) | prefixed("projector.", with_batch_norm())
    ),
    "OpenMMLab": prefixed("state_dict.backbone.", RESNET)
    | prefixed("state_dict.neck.fc0.", linear(512, 8))
    | prefixed("state_dict.head.predictor.fc0.", linear(8, 8))
    | {"state_dict.data_preprocessor.mean": np.zeros(3)},
    "Lightly": prefixed("state_dict.backbone.", NUMBERED)
    | prefixed("state_dict.projection_head.layers.", with_batch_norm()),
    "VISSL": prefixed("classy_state_dict.base_model.model.trunk._feature_blocks.", RESNET)
    | prefixed("classy_state_dict.base_model.model.heads.0.clf.0.", linear(512, 8))
    | {"classy_state_dict.optimizer.state.0.momentum_buffer": np.zeros(3)},
    "ResNet under backbone.": prefixed("backbone.", RESNET),
    "torchvision, timm, or the published ResNet of Barlow Twins, DINO, VICReg": RESNET | classifier(),
}


def test_every_layout_has_its_checkpoint_here():
    assert set(CHECKPOINTS) == {layout.name for layout in LAYOUTS}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_recognises(name):
    found = recognise(CHECKPOINTS[name])
    assert found.layout.name == name
    assert found.unexpected == ()
    assert set(found.backbone) == set(PLAIN)
    for own, values in found.backbone.items():
        assert values is RESNET[own]  # not the twin of a key encoder, nor a renamed neighbour
    if found.layout.head:
        assert any(values.ndim == 2 for values in found.head.values())


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        ("MoCo v1 or v2", {"optimizer state", "queue of negatives", "key, momentum or student network"}),
        ("SwAV", {"prototypes"}),
        ("DINO, teacher", {"key, momentum or student network", "projection head", "state of the loss"}),
        ("Barlow Twins, training", {"state of the loss"}),
        ("torchvision, timm, or the published ResNet of Barlow Twins, DINO, VICReg", {"classifier"}),
    ],
)
def test_says_what_it_drops(name, dropped):
    assert set(recognise(CHECKPOINTS[name]).dropped) == dropped


def test_counts_what_it_drops():
    assert recognise(RESNET | classifier()).dropped == {"classifier": 2}


@pytest.mark.parametrize("wrapper", ["", "state_dict.", "model.", "state_dict.module.", "module."])
def test_wrappers_do_not_matter(wrapper):
    assert set(recognise(prefixed(wrapper, RESNET)).backbone) == set(PLAIN)


def test_knows_what_it_does_not_know():
    assert recognise({"features.0.weight": np.zeros(3)}) is None
    assert recognise(RESNET | {"attnpool.c_proj.weight": np.zeros(3)}).unexpected == ("attnpool.c_proj.weight",)


def test_the_same_name_in_two_wrappers():
    with pytest.raises(ValueError, match="conv1.weight twice, as model.conv1.weight and state_dict.conv1.weight"):
        recognise(prefixed("model.", RESNET) | prefixed("state_dict.", RESNET))


def test_pixels_are_those_of_the_code_base():
    assert recognise(CHECKPOINTS["SwAV"]).layout.pixels == "swav"
    assert recognise(CHECKPOINTS["SimCLR (Spijkervet)"]).layout.pixels == "0..1"
    assert recognise(CHECKPOINTS["MoCo v1 or v2"]).layout.pixels == "imagenet"
