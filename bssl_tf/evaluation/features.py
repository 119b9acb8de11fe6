"""Features of many images, from a Keras backbone or a converted one."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bssl_tf.errors import UserError


class PixelsToFeatures(Protocol):
    """Anything with `features`, such as `bssl_tf.deploy.interpreter.TfliteBackbone`."""

    def features(self, images: np.ndarray) -> np.ndarray:
        """(n, S, S, C) uint8 pixels → (n, D) float32 features."""


def extract_features(
    model: tf.keras.Model | PixelsToFeatures,
    images: tf.data.Dataset | Iterable[np.ndarray],
    description: str = "features",
) -> np.ndarray:
    """Run all images through a backbone.

    Args:
        model: a Keras backbone, run in inference mode, or an object with `features`.
        images: uint8 batches (b, S, S, C).
        description: what the progress bar says; it shows on a terminal only.

    Returns:
        (n, D) float32.

    Raises:
        UserError: no images, batches of another shape, or features that are NaN or infinite.
    """
    run = _keras_function(model) if isinstance(model, tf.keras.Model) else model.features
    collected = []
    with _progress() as progress:
        task = progress.add_task(description, total=_number_of_batches(images))
        for batch in images:
            pixels = _pixels(batch)
            if len(pixels):
                collected.append(np.asarray(run(pixels), np.float32))
            progress.advance(task)
    if not collected:
        raise UserError("There are no images to take features of: the data set (or its split) is empty.")
    features = np.concatenate(collected)
    if not np.isfinite(features).all():
        broken = int((~np.isfinite(features).all(axis=1)).sum())
        raise UserError(
            f"Features of {broken} of {len(features)} images are NaN or infinite, so the network is broken. "
            "Did its training diverge? Try a lower --learning_rate."
        )
    return features


def _keras_function(model: tf.keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    expected = tuple(model.input_shape[1:])

    def run(pixels: np.ndarray) -> np.ndarray:
        if any(size not in (None, received) for size, received in zip(expected, pixels.shape[1:], strict=False)):
            raise UserError(
                f"The backbone takes images of shape {expected}, these are {pixels.shape[1:]}. "
                "Load them with the --image_size and --channels that the backbone was built with."
            )
        return model.predict_on_batch(pixels.astype(np.float32))  # traced once a model, unlike a new tf.function

    return run


def _pixels(batch: Any) -> np.ndarray:
    pixels = None if isinstance(batch, (tuple, list, dict)) else np.asarray(batch)
    if pixels is None or pixels.ndim != 4 or pixels.dtype != np.uint8:
        received = type(batch).__name__ if pixels is None else f"{pixels.dtype} {pixels.shape}"
        raise UserError(f"Images come as uint8 batches of shape (b, S, S, C), without labels; received {received}.")
    return pixels


def _number_of_batches(images: Any) -> int | None:
    try:
        return len(images)
    except TypeError:  # a generator, or a data set of unknown length
        return None


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
