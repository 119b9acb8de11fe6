"""Public PyTorch ResNets as backbones of this package.

Convert a file once, then load the result like any other teacher:

    teacher = import_teacher("moco_v2_800ep_pretrain.pth.tar")
    save_teacher(teacher, "runs/moco_v2")
    model, _ = load_teacher("runs/moco_v2", image_size=224, channels=3)
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.files import sha256, write_json
from bssl_tf.models.backbone import build_backbone, save_backbone
from bssl_tf.models.choices import FLOAT, STEM_LARGE
from bssl_tf.models.heads import save_head
from bssl_tf.models.pixels import PIXEL_RANGES
from bssl_tf.models.pytorch_import.checkpoint_files import read_checkpoint
from bssl_tf.models.pytorch_import.layouts import LAYOUTS, recognise
from bssl_tf.models.pytorch_import.weights import fill_resnet, head_from, resnet_name
from bssl_tf.models.spec import BackboneSpec

ORIGIN_FILE = "imported.json"
_USUAL_SIZE = 224


@dataclass(frozen=True)
class ImportedTeacher:
    """A network from elsewhere.

    Args:
        model: pixels (None, 224, 224, 3) in 0..255 → pooled features.
        spec: describes `model`; it is the same network at any other image size.
        head: pooled features → what the contrastive loss compared, before it was scaled to length 1; or None.
        layout: name of the `Layout` that was recognised.
        sha256: of the file.
        pixels: key of `PIXEL_RANGES`.
        dropped: how many tensors of each kind were left out.
    """

    model: tf.keras.Model
    spec: BackboneSpec
    head: tf.keras.Model | None
    layout: str
    sha256: str
    pixels: str
    dropped: Mapping[str, int]


def import_teacher(source: str | os.PathLike, *, pixels: str | None = None, keep_head: bool = False) -> ImportedTeacher:
    """Read a checkpoint of a ResNet-18, -34 or -50.

    Args:
        source: a file that ends in one of `checkpoint_files.SUFFIXES`.
        pixels: a key of `PIXEL_RANGES` whose order is RGB, what the network was trained with; None: the layout's own.
        keep_head: also take the projection head.

    Raises:
        UserError: the file cannot be read, is of no known layout, or does not hold exactly such a network.
    """
    source = Path(source)
    tensors = read_checkpoint(source)
    found = recognise(tensors)
    if found is None:
        raise UserError(
            f"--source={source} is of no known layout. It lacks conv1.weight of a ResNet where any layout has it; "
            f"unexpected are its {len(tensors)} tensors, such as {', '.join(list(tensors)[:6])}. Known: "
            f"{'; '.join(layout.name for layout in LAYOUTS)}."
        )
    layout, dropped = found.layout, dict(found.dropped)
    if keep_head and not found.head:
        raise UserError(f"--keep_head: {layout.name} has no projection head that can be kept. Leave the flag out.")
    if found.head and not keep_head:
        dropped["projection head"] = len(found.head)
    pixels = pixels or layout.pixels
    spec = BackboneSpec(
        resnet_name(found.backbone),
        _USUAL_SIZE,
        channels=3,
        mean=_each(PIXEL_RANGES[pixels].mean),
        std=_each(PIXEL_RANGES[pixels].std),
        mode=FLOAT,
        stem=STEM_LARGE,
    )
    model = build_backbone(spec)
    fill_resnet(model, found.backbone, found.unexpected)
    head = head_from(found.head) if keep_head else None
    if head is not None and head.input_shape != model.output_shape:
        raise UserError(f"the projection head takes {head.input_shape[-1]} features, {spec.name} gives another number.")
    return ImportedTeacher(model, spec, head, layout.name, sha256(source), pixels, dropped)


def save_teacher(teacher: ImportedTeacher, output: str | os.PathLike, source: str = "") -> None:
    """Write a folder for ``--teacher``: the backbone, the head if there is one, and where they came from.

    Raises:
        UserError: `output` exists and is not empty.
    """
    if Path(output).is_file() or (Path(output).is_dir() and any(Path(output).iterdir())):
        raise UserError(f"{output} exists: name a new folder.")
    if teacher.head is not None:
        save_head(teacher.head, output)
    origin = {"source": source, "sha256": teacher.sha256, "layout": teacher.layout, "dropped": dict(teacher.dropped)}
    write_json(Path(output) / ORIGIN_FILE, origin)
    save_backbone(teacher.model, teacher.spec, output)


def _each(values: tuple[float, ...]) -> tuple[float, ...]:
    return values * (3 // len(values))
