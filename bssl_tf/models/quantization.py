"""What is binary in a network, and with which pseudo-gradient.

A network has three modes with one and the same list of weights, so weights move freely between them:

==================== =========== ======= =====================================
mode                 activations kernels used as
==================== =========== ======= =====================================
`FLOAT`              float       float   reference; what teachers are
`BINARY_ACTIVATIONS` ±1          float   stage 1 of multi-stage training
`BINARY`             ±1          ±1      stage 2, and what is deployed
==================== =========== ======= =====================================
"""

from dataclasses import dataclass
from typing import Any

import larq as lq

from bssl_tf.models.choices import BINARY, FLOAT

SIGNS = (lq.quantizers.SteSign, lq.quantizers.ApproxSign, lq.quantizers.SwishSign)
"""Quantizers that give ±1: what the input of a binary convolution has."""
KERNEL_SIGNS = (*SIGNS, lq.quantizers.MagnitudeAwareSign)
"""Those that give ± one magnitude for each output channel, which the engine multiplies by afterwards."""


def _quantizer(name: str, clip: float) -> lq.quantizers.Quantizer:
    if name == "ste_sign":
        return lq.quantizers.SteSign(clip_value=clip)
    if name == "approx_sign":
        return lq.quantizers.ApproxSign()
    if name == "swish_sign":
        return lq.quantizers.SwishSign()
    return lq.quantizers.MagnitudeAwareSign(clip_value=clip)


@dataclass(frozen=True)
class Binarisation:
    """Chooses the quantizers of every binary convolution of a network.

    Args:
        mode: one of `choices.MODES`.
        quantizer: one of `choices.QUANTIZERS`, those of Larq that give ±1 (up to a factor per output
            channel), which LCE runs as binary convolutions. `magnitude_aware_sign` scales kernels by their mean
            magnitude per output channel and makes no sense for activations: these get `ste_sign` then. The
            pseudo-gradients of `approx_sign` and `swish_sign` vanish, or turn, far from 0, where latent weights may
            go: they are for activations, as in Bi-Real Net (https://arxiv.org/abs/1808.00278), and kernels get
            `ste_sign`.
        clip: where `ste_sign` stops passing gradients, and where latent weights are clipped so that they
            never get stuck beyond. Larq's own default is 1, Larq Zoo's models have 1.25.
    """

    mode: str
    quantizer: str = "ste_sign"
    clip: float = 1.0

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `larq.layers.QuantConv2D`.

        Padding is +1 wherever activations are ±1: a padded zero is no binary number, and LCE would need an
        extra correction for it.
        """
        if self.mode == FLOAT:
            return dict(input_quantizer=None, kernel_quantizer=None, kernel_constraint=None, pad_values=0.0)
        of_activations = "ste_sign" if self.quantizer == "magnitude_aware_sign" else self.quantizer
        of_kernels = "ste_sign" if self.quantizer in ("approx_sign", "swish_sign") else self.quantizer
        binary_kernels = self.mode == BINARY
        return dict(
            input_quantizer=_quantizer(of_activations, self.clip),
            kernel_quantizer=_quantizer(of_kernels, self.clip) if binary_kernels else None,
            kernel_constraint=lq.constraints.WeightClip(self.clip) if binary_kernels else None,
            pad_values=1.0,
        )
