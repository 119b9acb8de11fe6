"""Does the .tflite file compute what the Keras network computes?

A binary network cannot be checked with one tolerance. Converting folds batch norms and so changes the
last bit of some floats; a float that lies next to a threshold then takes the other sign, and in the
layers behind it that one flipped bit grows into a visible deviation. Measured on networks with random
weights, an image without a flip agrees to 1e-5 or better, an image with one deviates by 1e-3 to 3e-1, as
much as any rounding does to the Keras network itself. From small networks on 32-pixel images to
ReActNet-A on 224 pixels, 0 to 62 % of the images had a flip.

A wrong conversion looks different: it moves *every* image, if only by 4e-4. So what is counted is
the share of images that agree to rounding. It is compared with the share that the network reaches
against itself when each of its weights is nudged by about one float rounding: a wrong file has none.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import tensorflow as tf

from bssl_tf.deploy.interpreter import TfliteBackbone
from bssl_tf.deploy.subjects import LOGITS
from bssl_tf.errors import UserError

TOLERANCE = 5e-5
"""Relative deviation up to which an image agrees: 5 × the largest rounding seen, 1/8 of the smallest break."""
ROUNDING = 3e-7
"""Relative size of the nudge to each weight: two to three units in the last place of a float32."""
LEAST_SHARE = 0.25
"""Images that must agree, as a share of those expected to."""
LEAST_COSINE = 0.8
"""Flips were seen to turn a feature vector to a cosine of 0.965 at worst.

Logits have no such bound: those of two classes lie on a line, and a doubtful image whose class a flip changes turns
to -1. Their cosine is therefore taken of all images together.
"""
FEWEST_CONCLUSIVE = 4
"""Images that must be expected to agree before their absence means anything."""


class ParityError(UserError):
    """The file does not compute what the Keras network computes, or there are too few images to decide."""


class TooFewImages(ParityError):
    """There are too few images to decide.

    Attributes:
        problem: the message without a remedy, for commands that have others.
    """

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem} {remedy}")
        self.problem = problem


@dataclass(frozen=True)
class Parity:
    """Deviation of the file's features v from Keras's u, an image each; relative: |u - v| / |u|.

    Attributes:
        images: number of images compared.
        largest_deviation: largest |u - v| of a single feature.
        largest_relative, median_relative: over the images.
        smallest_cosine: between u and v; of logits, between those of all images together.
        agreeing: share of images with a relative deviation within `tolerance`.
        expected_agreeing: the same share for Keras against itself with nudged weights.
        constant_channels: channels of batch norms whose variance has died; their multipliers are so large
            that the engine's rounding shows.
        tolerance: relative deviation that counts as rounding.
        of_logits: whether u and v are a classifier's logits.
    """

    images: int
    largest_deviation: float
    largest_relative: float
    median_relative: float
    smallest_cosine: float
    agreeing: float
    expected_agreeing: float
    constant_channels: int = 0
    tolerance: float = TOLERANCE
    of_logits: bool = False

    @property
    def conclusive(self) -> bool:
        return self.expected_agreeing * self.images >= FEWEST_CONCLUSIVE

    @property
    def ok(self) -> bool:
        """Enough images agree to rounding, and none has gone astray."""
        enough = self.agreeing > 0 and self.agreeing >= LEAST_SHARE * self.expected_agreeing
        return self.conclusive and enough and self.smallest_cosine >= LEAST_COSINE

    def __str__(self) -> str:
        agreeing, expected = (round(share * self.images) for share in (self.agreeing, self.expected_agreeing))
        return (
            f"{agreeing} of {self.images} images agree to {self.tolerance:g} (float rounding, which can flip a sign, "
            f"alone leaves {expected}); relative deviation: median {self.median_relative:.1e}, largest "
            f"{self.largest_relative:.1e}; {'cosine of all logits' if self.of_logits else 'smallest cosine'} "
            f"{self.smallest_cosine:.6f}; largest deviation of a {'logit' if self.of_logits else 'feature'} "
            f"{self.largest_deviation:.1e}"
        )

    def as_dict(self) -> dict:
        return {"ok": self.ok, **asdict(self)}

    @classmethod
    def from_dict(cls, content: dict) -> "Parity":
        """Inverse of `as_dict`."""
        return cls(**{name: value for name, value in content.items() if name != "ok"})

    def check(self, remedy: str = "--holdout=0.5 of a folder, or another --dataset") -> "Parity":
        """Return itself if `ok`.

        Args:
            remedy: how the user gets more images, if they are too few.

        Raises:
            ParityError: with the numbers and what to do.
        """
        if self.ok:
            return self
        if not self.conclusive:
            raise TooFewImages(
                f"{self.images} images are too few to decide whether the file is right: on only"
                f" {self.expected_agreeing:.0%} of them does the network withstand float rounding. {self}.",
                f"Compare more images ({remedy}).",
            )
        raise ParityError(
            f"The file does not compute what the Keras network computes: {self}. Do not use it. {self._remedy()}"
        )

    def check_rounded(self, float_weights: str) -> "Parity":
        """Return itself if the features of a file with float weights in fewer bits still are those of the network.

        Such a file need not agree to rounding.

        Raises:
            ParityError: on some image they are not.
        """
        if self.smallest_cosine >= LEAST_COSINE:
            return self
        what = "the file's logits" if self.of_logits else "on some image the file's features"
        raise ParityError(
            f"--float_weights={float_weights} loses too much: {what} have a cosine of only {self.smallest_cosine:.2f} "
            f"to the Keras network's ({LEAST_COSINE} is the least). Store them in "
            f"{'float16 or ' if float_weights == 'int8' else ''}float32."
        )

    def _remedy(self) -> str:
        if self.constant_channels:
            return (
                f"{self.constant_channels} channels in front of batch norms are constant (moving variance"
                " near 0), so their multipliers are huge and amplify the engine's rounding. Train longer,"
                " with a lower --learning_rate, or choose another --student."
            )
        return (
            "See that the network had its final weights when it was converted, and that its padding is one"
            " (pad_values=1.0); then bisect by converting it up to an earlier layer."
        )


def compare(keras_model: tf.keras.Model, tflite: bytes, images: Iterable[np.ndarray], seed: int = 0) -> Parity:
    """Run the Keras network and the file on the same pixels.

    Args:
        keras_model: the backbone that was converted, with the same weights.
        tflite: content of the file.
        images: uint8 batches (b, S, S, C) of real images; 64 images or more.
        seed: of the nudges. The model's own weights are the same afterwards.

    Raises:
        UserError: no images, images of another size, or features that are not finite.
    """
    backbone = TfliteBackbone(tflite)
    is_classifier = LOGITS in [output.name for output in backbone.report.outputs]
    output = LOGITS if is_classifier else backbone.output_of_features()
    batches = [np.asarray(batch) for batch in images]
    if not sum(len(batch) for batch in batches):
        raise UserError("Comparing the file with the Keras network takes at least one image; there is none.")
    converted = np.concatenate([backbone.outputs(batch, (output,))[0] for batch in batches])
    features = _keras_features(keras_model, batches)
    for name, values in {"the Keras network": features, "the file": converted}.items():
        if not np.isfinite(values).all():
            raise UserError(f"{name} gives features that are NaN or infinite. Did its training diverge?")
    relative = _relative(features, converted)
    return Parity(
        images=len(features),
        largest_deviation=float(np.abs(features - converted).max()),
        largest_relative=float(relative.max()),
        median_relative=float(np.median(relative)),
        smallest_cosine=float(
            _cosine(*((u.reshape(1, -1) if is_classifier else u) for u in (features, converted))).min()
        ),
        agreeing=float((relative <= TOLERANCE).mean()),
        expected_agreeing=float((_relative(features, _nudged(keras_model, batches, seed)) <= TOLERANCE).mean()),
        constant_channels=_constant_channels(keras_model),
        of_logits=is_classifier,
    )


def _constant_channels(model: tf.keras.Model) -> int:
    norms = [layer for layer in model.submodules if isinstance(layer, tf.keras.layers.BatchNormalization)]
    return sum(int((norm.moving_variance.numpy() < norm.epsilon).sum()) for norm in norms)


def _keras_features(model: tf.keras.Model, batches: list[np.ndarray]) -> np.ndarray:
    features = [model(batch.astype(np.float32), training=False).numpy() for batch in batches]
    return np.concatenate(features).astype(np.float64)


def _nudged(model: tf.keras.Model, batches: list[np.ndarray], seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed)
    weights = model.get_weights()
    try:
        model.set_weights(
            [(values * (1 + ROUNDING * noise.standard_normal(values.shape))).astype(values.dtype) for values in weights]
        )
        return _keras_features(model, batches)
    finally:
        model.set_weights(weights)


def _relative(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(u, axis=1)
    return np.linalg.norm(u - v, axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)


def _cosine(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    both_zero = ~(u.any(axis=1) | v.any(axis=1))
    return np.where(both_zero, 1.0, (u * v).sum(axis=1) / np.maximum(norms, np.finfo(np.float32).tiny))
