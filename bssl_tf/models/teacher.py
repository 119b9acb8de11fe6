"""Finds a frozen feature extractor: one pretrained here, or any saved Keras model."""

import hashlib
import os
from pathlib import Path

import tensorflow as tf

from bssl_tf.errors import UserError
from bssl_tf.models.backbone import load_backbone
from bssl_tf.models.keras_import.architecture import RefusedArchitecture
from bssl_tf.models.keras_import.loading import SAVED_MODEL_FILE, check_feature_maps, load_keras_model
from bssl_tf.models.pixels import PIXEL_RANGES
from bssl_tf.models.spec import SPEC_FILE, TEACHER_FOLDER, read_spec


def fingerprint(model: tf.keras.Model) -> str:
    """16 hexadecimal digits (of a SHA-256) that tell this model's weights from any others."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(f"{weight.shape}{weight.dtype}".encode())
        digest.update(weight.tobytes())
    return digest.hexdigest()[:16]


def load_teacher(
    path: str | os.PathLike, *, image_size: int, channels: int, pixels: str = "0..255", trusted: bool = False
) -> tuple[tf.keras.Model, str]:
    """Load a teacher and freeze it.

    A ResNet-18, -34 or -50 of ours takes views of any size that goes through the same layers. A teacher for RGB takes
    grey views too: their channel is repeated, and the description says so.

    Args:
        path: a folder with a backbone.json, or a workdir whose teacher/ has one, or a saved Keras model
            (.keras or .h5; see `keras_import.loading`) from images to a feature vector.
        image_size: height and width of the views it will see.
        channels: channels of these views.
        pixels: a key of `pixels.PIXEL_RANGES`, what a saved Keras model expects. Our own backbones take 0..255.
        trusted: whether a saved Keras model may run code of its own, which a SavedModel always does (--trust_teacher).

    Returns:
        A model from pixels (None, S, S, C) in 0..255 to features (None, D) float32, `trainable=False`; and
        one line that describes it.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        UserError: what is there is no feature extractor, or does not fit image_size, channels or pixels.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"--teacher={path} does not exist.")
    for folder in (path, path / TEACHER_FOLDER):
        if (folder / SPEC_FILE).is_file():
            model, kind = _load_own(folder, image_size, channels, pixels)
            break
    else:
        model, kind = _load_keras(path, image_size, channels, pixels, trusted)
    if model.input_shape[-1] != channels:
        model, kind = _for_grey(model), f"{kind} (grey images, their channel three times)"
    model.trainable = False
    width = model.output_shape[-1]
    description = (
        f"{kind}, {image_size}×{image_size}×{channels} pixels → {width} features, weights "
        f"{fingerprint(model)}, from {path}"
    )
    return model, description


def _load_own(folder: Path, image_size: int, channels: int, pixels: str) -> tuple[tf.keras.Model, str]:
    if pixels != "0..255":
        raise UserError(
            f"--teacher_pixels={pixels} is for saved Keras models only; the backbone in {folder} normalises "
            f"its input itself. Leave it at 0..255."
        )
    spec = read_spec(folder)
    size = image_size if spec.is_same_at(image_size) else spec.image_size
    _check_input((None, size, size, spec.channels), folder, image_size, channels)
    model, _ = load_backbone(folder, image_size=size)
    return model, spec.name


def _load_keras(path: Path, image_size: int, channels: int, pixels: str, trusted: bool) -> tuple[tf.keras.Model, str]:
    if pixels not in PIXEL_RANGES:
        raise UserError(f"Unknown --teacher_pixels={pixels}. There are: {', '.join(PIXEL_RANGES)}.")
    if path.is_dir() and not (path / SAVED_MODEL_FILE).is_file():
        raise UserError(f"--teacher={path} holds neither a {SPEC_FILE} nor a SavedModel.")
    saved = load_keras_model(path, flag="--teacher", trust_flag="--trust_teacher", trusted=trusted)
    if saved.inputs is not None:
        _check_input(saved.input_shape, path, image_size, channels)
        channels = saved.input_shape[-1] or channels
    if len(PIXEL_RANGES[pixels].mean) not in (1, channels):
        raise UserError(
            f"--teacher_pixels={pixels} is for RGB, but --teacher={path} takes {channels} channel(s). Use another "
            "range."
        )

    inputs = tf.keras.Input((image_size, image_size, channels), name="pixels", dtype="float32")
    x = PIXEL_RANGES[pixels].apply(inputs)
    try:
        if not trusted:
            check_feature_maps(saved, tf.TensorSpec((None, *x.shape[1:]), x.dtype))
        features = saved(x, training=False)
    except RefusedArchitecture as reason:
        raise UserError(
            f"--teacher={path} is refused: for images of --image_size={image_size} {reason}. Give a smaller "
            "--image_size, or another teacher."
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(
            f"--teacher={path} does not take images of --image_size={image_size} and --channels={channels}: {error}"
        ) from error
    shapes = [tuple(output.shape) for output in tf.nest.flatten(features)]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][-1] is None:
        raise UserError(
            f"--teacher={path} must give one feature vector (None, D) an image, but gives {shapes}. Cut the "
            f"model after its global pooling and save it again."
        )
    features = tf.keras.layers.Activation("linear", dtype="float32", name="features")(features)
    return tf.keras.Model(inputs, features, name="teacher"), f"Keras model {saved.name}"


def _for_grey(model: tf.keras.Model) -> tf.keras.Model:
    """A model for RGB → one for images of one channel."""
    pixels = tf.keras.Input((*model.input_shape[1:3], 1), name="pixels", dtype="float32")
    rgb = tf.keras.layers.Concatenate(dtype="float32", name="grey_to_rgb")([pixels] * 3)
    return tf.keras.Model(pixels, model(rgb), name=model.name)


def _check_input(shape: tuple, path: Path, image_size: int, channels: int) -> None:
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(f"--teacher={path} must take images (None, S, S, C), but takes {shape}.")
    _, height, width, depth = shape
    if (height or image_size, width or image_size) != (image_size, image_size):
        raise UserError(
            f"--teacher={path} takes images of {height}×{width} pixels, but --image_size={image_size}. "
            f"Views are not resized for the teacher: use --image_size={height}, or another teacher."
        )
    if (depth or channels) not in (channels, 3):
        raise UserError(
            f"--teacher={path} takes {depth} channel(s), but --channels={channels}. Use --channels={depth}, "
            f"or another teacher."
        )
