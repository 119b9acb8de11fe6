"""What range of pixels a network from elsewhere expects, and how to get there from 0..255."""

from typing import NamedTuple

import tensorflow as tf

from bssl_tf.models.normalisation import PixelNormalisation


class PixelRange(NamedTuple):
    """(pixels - mean) / std, in pixel units, of all channels (one number) or of each (red, green, blue).

    `blue_first` says that the network takes blue, green, red.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    blue_first: bool = False

    def apply(self, pixels: tf.Tensor) -> tf.Tensor:
        """Images (None, S, S, C) in 0..255 → the same in this range."""
        channels = pixels.shape[-1]
        each = channels // len(self.mean)
        x = PixelNormalisation(self.mean * each, self.std * each, name="normalise")(pixels)
        return x[..., ::-1] if self.blue_first else x


_IMAGENET_MEAN = (123.675, 116.28, 103.53)

PIXEL_RANGES = {
    "0..255": PixelRange((0.0,), (1.0,)),
    "0..1": PixelRange((0.0,), (255.0,)),
    "-1..1": PixelRange((127.5,), (127.5,)),
    "imagenet": PixelRange(_IMAGENET_MEAN, (58.395, 57.12, 57.375)),
    "swav": PixelRange(_IMAGENET_MEAN, (58.14, 57.12, 57.375)),
    "caffe": PixelRange((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), blue_first=True),
}
"""`imagenet` is torchvision's, and so of most public PyTorch networks. `swav` is the same but for a std of 0.228 for
red, where others have 0.229 (src/multicropdataset.py of facebookresearch/swav). `caffe` is that of Keras Applications'
VGG and ResNet (not ResNetV2, which has -1..1)."""
