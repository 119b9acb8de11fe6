"""Which self-supervised method wrote a checkpoint, by the names of its tensors.

Every code base saves the same ResNet under other names and with other things beside it. A `Layout` says where one of
them keeps what. To teach this package another one, add a line to `LAYOUTS`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from bssl_tf.errors import UserError

_WRAPPERS = re.compile(r"^((state_dict|model|model_state_dict)\.)+")
_NUMBERED = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


@dataclass(frozen=True)
class Layout:
    """Where a family of checkpoints keeps its ResNet and its projection head.

    Names are meant without "module." and without the outermost "state_dict." or "model.".

    Args:
        name: of the family, for messages.
        backbone: what stands before the names of the ResNet's tensors.
        head: what stands before those of the projection head; None: there is none, or none that can be kept.
        mark: a regular expression that the beginning of some name must match.
        numbered: modules of the backbone are numbered ("0." is conv1), as in a Sequential of its children.
        pixels: the key of `pixels.PIXEL_RANGES` that these networks were trained with.
    """

    name: str
    backbone: str
    head: str | None = None
    mark: str = ""
    numbered: bool = False
    pixels: str = "imagenet"

    def fits(self, names: Iterable[str]) -> bool:
        first = self.backbone + ("0.weight" if self.numbered else "conv1.weight")
        return first in names and any(re.match(self.mark, name) for name in names)


LAYOUTS = (
    Layout("MoCo v1 or v2", "encoder_q.", head="encoder_q.fc."),
    Layout("MoCo v3", "base_encoder.", head="base_encoder.fc."),
    Layout("SwAV", "", head="projection_head.", mark=r"projection_head\.|prototypes", pixels="swav"),
    Layout("DINO, teacher", "teacher.backbone."),
    Layout("BYOL (lucidrains)", "online_encoder.net.", head="online_encoder.projector."),
    Layout("BYOL (yaox12)", "online_network.encoder.", numbered=True),
    Layout("BYOL (yaox12), backbone", "online_backbone."),
    Layout(
        "BYOL (sthalles)",
        "online_network_state_dict.encoder.",
        head="online_network_state_dict.projetion.net.",
        numbered=True,
        pixels="0..1",
    ),
    Layout("SimSiam", "encoder.", head="encoder.fc.", mark=r"predictor\."),
    Layout("SimCLR (Spijkervet)", "encoder.", head="projector.", mark=r"projector\.", pixels="0..1"),
    Layout("SimCLR (sthalles)", "backbone.", head="backbone.fc.", mark=r"backbone\.fc\.2\.", pixels="0..1"),
    Layout("Barlow Twins, training", "backbone.", head="projector.", mark=r"bn\."),
    Layout("solo-learn", "backbone.", head="projector.", mark=r"classifier\."),
    Layout("VICReg, training", "backbone.", head="projector.", mark=r"projector\."),
    Layout("OpenMMLab", "backbone.", mark=r"neck\.|head\.|data_preprocessor\."),
    Layout("Lightly", "backbone.", head="projection_head.layers.", numbered=True),
    Layout("VISSL", "classy_state_dict.base_model.model.trunk._feature_blocks."),
    Layout("ResNet under backbone.", "backbone."),
    Layout("torchvision, timm, or the published ResNet of Barlow Twins, DINO, VICReg", ""),
)

_PARENTS = r"((teacher|online_encoder|online_network|online_network_state_dict)\.)?"
_DROPPED = {
    "optimizer state": "optimizer|optim|lr_scheduler|lr_schedulers|scheduler|scaler|fp16_scaler|amp|loops|callbacks",
    "queue of negatives": "queue",
    "key, momentum or student network": "encoder_k|momentum|target|student",
    "predictor": "predictor|online_predictor",
    "prototypes": "prototypes",
    "state of the loss": "dino_loss|criterion|loss|bn",
    "projection head": "projector|projection|projection_head|projetion|head|heads|neck",
    "classifier": "fc|classifier|linear",
    "copy of the network": "net|encoder_state_dict|classy_state_dict",
    "settings": "data_preprocessor|epoch|best_acc|iteration|global_step",
}
"""What a checkpoint may hold besides, and the words that its names begin with."""

_COUNTER = "num_batches_tracked"  # of a batch norm, of no use to a frozen one


@dataclass(frozen=True)
class Recognised:
    """A checkpoint, taken apart.

    Args:
        layout: what it is.
        backbone: tensors of the ResNet, named as torchvision does.
        head: tensors of the projection head, named "0.weight" and so on; empty where there is none.
        dropped: how many tensors of each kind are of no use here.
        unexpected: full names of tensors that no layout explains.
    """

    layout: Layout
    backbone: Mapping[str, np.ndarray]
    head: Mapping[str, np.ndarray]
    dropped: Mapping[str, int]
    unexpected: tuple[str, ...]


def recognise(tensors: Mapping[str, np.ndarray]) -> Recognised | None:
    """Take a checkpoint apart; None where no layout of `LAYOUTS` fits.

    Args:
        tensors: as `checkpoint_files.read_checkpoint` gives them.

    Raises:
        UserError: two tensors have the same name once their wrappers are off.
    """
    named: dict[str, tuple[str, np.ndarray]] = {}
    for full_name, values in tensors.items():
        name = _WRAPPERS.sub("", re.sub(r"(^|\.)module\.", r"\1", full_name))
        if name in named:
            raise UserError(
                f"the checkpoint holds {name} twice, as {named[name][0]} and {full_name}: save the one that is meant."
            )
        named[name] = full_name, values
    layout = next((layout for layout in LAYOUTS if layout.fits(named)), None)
    if layout is None:
        return None

    backbone: dict[str, np.ndarray] = {}
    head: dict[str, np.ndarray] = {}
    dropped: dict[str, int] = {}
    unexpected: list[str] = []
    for name, (full_name, values) in named.items():
        if name.endswith(_COUNTER):
            continue
        inner = name.removeprefix(layout.backbone)
        if layout.head is not None and name.startswith(layout.head):
            head[name.removeprefix(layout.head)] = values
        elif name.startswith(layout.backbone) and (own := _name_in_resnet(inner, layout.numbered)):
            backbone[own] = values
        elif kind := _kind_of_dropped(inner):
            dropped[kind] = dropped.get(kind, 0) + 1
        else:
            unexpected.append(full_name)
    return Recognised(layout, backbone, head, dropped, tuple(unexpected))


def _name_in_resnet(name: str, numbered: bool) -> str | None:
    """Torchvision's name of a tensor; None where it lies outside of the ResNet's modules."""
    first, _, rest = name.partition(".")
    first = _NUMBERED.get(first, "") if numbered else first
    return f"{first}.{rest}" if first in _NUMBERED.values() else None


def _kind_of_dropped(name: str) -> str | None:
    patterns = ((kind, rf"{_PARENTS}({words})([._\d]|$)") for kind, words in _DROPPED.items())
    return next((kind for kind, pattern in patterns if re.match(pattern, name)), None)
