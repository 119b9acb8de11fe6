"""The backbone that a detector starts from, at the detector's image size."""

import dataclasses
from pathlib import Path

import tensorflow as tf

from bssl_tf.config.detection import RANDOM, DetectorSettings
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.models import BINARY_ACTIVATIONS, BackboneSpec, build_backbone, load_backbone
from bssl_tf.models.backbone import read_spec
from bssl_tf.runs import Workdir, has_backbone


def backbone_folder(settings: DetectorSettings, workdir: str) -> Path:
    """The folder with backbone.json that --backbone, or --random_like, names.

    Raises:
        ConfigError: there is none, or only that of stage 1.
    """
    is_random = settings.backbone == RANDOM
    flag, text = ("--random_like", settings.random_like) if is_random else ("--backbone", settings.backbone)
    if not text:
        flag, text = "--workdir", workdir
    path = Path(text)
    for folder in (path, Workdir(path).stage(2).path):
        if has_backbone(folder):
            return folder
    only_stage_1 = has_backbone(Workdir(path).stage(1).path)
    raise ConfigError(
        f"{flag}={text} holds no {'finished stage 2' if only_stage_1 else 'backbone'}: pretrain one with bssl-train, "
        f"or name the workdir of a run with {'--random_like' if is_random else '--backbone'}."
    )


def starting_spec(folder: Path, image_size: int, channels: int, is_random: bool) -> BackboneSpec:
    """The description of the backbone in `folder`, at another image size; of a random one nothing else is needed.

    Raises:
        ConfigError: the network takes images of other channels, or its weights are not binary yet.
    """
    spec = read_spec(folder, with_weights=not is_random)
    if spec.mode == BINARY_ACTIVATIONS:
        raise ConfigError(f"{folder} holds a backbone of stage 1, whose weights are float: name one of stage 2.")
    if spec.channels != channels:
        raise ConfigError(
            f"{folder} holds a backbone for images of {spec.channels} channel(s), these have {channels}: give "
            f"--channels={spec.channels}."
        )
    return dataclasses.replace(spec, image_size=image_size)


def starting_backbone(folder: Path, spec: BackboneSpec, is_random: bool) -> tf.keras.Model:
    """The backbone itself.

    Raises:
        UserError: the weights do not fit at this image size.
    """
    if is_random:
        return build_backbone(spec)
    try:
        return load_backbone(folder, image_size=spec.image_size)[0]
    except UserError as error:
        pretrained_at = read_spec(folder).image_size
        raise UserError(
            f"{error} It was pretrained with images of {pretrained_at} pixels; some networks have another first layer "
            f"at {spec.image_size}: pretrain with --image_size={spec.image_size}, or give --image_size={pretrained_at}."
        ) from error
