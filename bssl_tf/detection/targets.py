"""What every position of the feature maps has to learn: FCOS's assignment (https://arxiv.org/abs/1904.01355).

A position is a cell of one of the feature maps; its centre in the image is (i + ½) · stride. It is responsible for a
box where

- its centre lies in the box, and in the middle part of it (centre sampling: within 1.5 strides of the box's centre,
  as in the authors' improved version), and
- the farthest side of the box is in the range of the level: up to 4 strides, beyond the range of the finer level.
  (FCOS has 8 strides, for five levels and photos of 800 pixels. Here there are two or three levels, and photos of 128
  to 320 pixels.)

Of several such boxes the smallest one wins. A position without a box is background.
"""

from dataclasses import dataclass

import tensorflow as tf

from bssl_tf.detection.boxes import area

CENTRE_RADIUS = 1.5
RANGE = 4.0
"""Both in strides of the level."""
_FAR = 1e8


@dataclass(frozen=True)
class Grid:
    """The positions of all levels, level by level, rows first.

    Attributes:
        image_size: S, height and width of the image.
        strides: of the levels, finest first; each divides S.
    """

    image_size: int
    strides: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Height and width of each feature map."""
        return tuple(-(-self.image_size // stride) for stride in self.strides)

    @property
    def positions(self) -> int:
        """P, on all levels together."""
        return sum(size * size for size in self.sizes)

    def centres(self) -> tf.Tensor:
        """(P, 2) float32, (y, x) in pixels."""
        maps = []
        for stride, size in zip(self.strides, self.sizes, strict=True):
            along = (tf.range(size, dtype=tf.float32) + 0.5) * stride
            maps.append(tf.reshape(tf.stack(tf.meshgrid(along, along, indexing="ij"), axis=-1), (-1, 2)))
        return tf.concat(maps, axis=0)

    def stride_of_positions(self) -> tf.Tensor:
        """(P,) float32."""
        return tf.concat(
            [tf.fill([size * size], float(s)) for s, size in zip(self.strides, self.sizes, strict=True)], axis=0
        )

    def ranges(self) -> tf.Tensor:
        """(P, 2) float32: the least (exclusive) and largest (inclusive) distance to the farthest side, in pixels."""
        bounds = [0.0, *(RANGE * stride for stride in self.strides[:-1]), _FAR]
        maps = [
            tf.tile([[low, high]], [size * size, 1])
            for low, high, size in zip(bounds, bounds[1:], self.sizes, strict=False)
        ]
        return tf.concat(maps, axis=0)


@dataclass(frozen=True)
class Targets:
    """Attributes:
    classes: (batch, P) int64; -1: background.
    boxes: (batch, P, 4) pixels; of background without meaning.
    centreness: (batch, P) in 0..1, equation 3 of the paper; 0 for background.
    """

    classes: tf.Tensor
    boxes: tf.Tensor
    centreness: tf.Tensor


def assign(grid: Grid, boxes: tf.Tensor, classes: tf.Tensor) -> Targets:
    """Targets of a batch.

    Args:
        grid: the positions.
        boxes: (batch, M, 4) pixels, padded at the end.
        classes: (batch, M) int64; -1 marks padding.
    """
    sides = _distances(grid.centres()[tf.newaxis, :, tf.newaxis], boxes[:, tf.newaxis])  # (batch, P, M, 4)
    stride, ranges = grid.stride_of_positions(), grid.ranges()
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    away = tf.abs(grid.centres()[tf.newaxis, :, tf.newaxis] - middle[:, tf.newaxis])
    farthest = tf.reduce_max(sides, axis=-1)
    fits = (
        (tf.reduce_min(sides, axis=-1) > 0.0)
        & (tf.reduce_max(away, axis=-1) < CENTRE_RADIUS * stride[:, tf.newaxis])
        & (farthest > ranges[:, :1])
        & (farthest <= ranges[:, 1:])
        & (classes >= 0)[:, tf.newaxis]
    )
    areas = tf.where(fits, area(boxes)[:, tf.newaxis], _FAR)
    chosen = tf.argmin(areas, axis=-1)
    found = tf.reduce_any(fits, axis=-1)
    own_boxes = tf.gather(boxes, chosen, batch_dims=1)
    own_classes = tf.where(found, tf.gather(classes, chosen, batch_dims=1), tf.constant(-1, classes.dtype))
    centreness = _centreness(_distances(grid.centres()[tf.newaxis], own_boxes))
    return Targets(own_classes, own_boxes, tf.where(found, centreness, 0.0))


def decode(grid: Grid, distances: tf.Tensor) -> tf.Tensor:
    """Boxes (…, P, 4) in pixels from the distances (…, P, 4) to their top, left, bottom and right, in strides."""
    pixels = distances * grid.stride_of_positions()[:, tf.newaxis]
    centres = grid.centres()
    return tf.concat([centres - pixels[..., :2], centres + pixels[..., 2:]], axis=-1)


def encode(grid: Grid, boxes: tf.Tensor) -> tf.Tensor:
    """Inverse of `decode`."""
    return _distances(grid.centres(), boxes) / grid.stride_of_positions()[:, tf.newaxis]


def _distances(centres: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    return tf.concat([centres - boxes[..., :2], boxes[..., 2:] - centres], axis=-1)


def _centreness(sides: tf.Tensor) -> tf.Tensor:
    """√(min(l, r) / max(l, r) · min(t, b) / max(t, b))."""
    sides = tf.maximum(sides, 1e-6)
    near, far = tf.minimum(sides[..., :2], sides[..., 2:]), tf.maximum(sides[..., :2], sides[..., 2:])
    return tf.sqrt(tf.reduce_prod(near / far, axis=-1))
