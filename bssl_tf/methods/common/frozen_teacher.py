"""The frozen teacher of a distilling method."""

import tensorflow as tf


class FrozenTeacher:
    """h_ζ: gives features without a gradient, and is neither tracked nor saved by the method that holds it.

    A checkpoint holds what training changes; the teacher is on disk already, often many times the student's size.
    (No `tf.Module`, and the model only in a closure: Keras would find and save it.)

    Args:
        teacher: pixels (batch, size, size, channels) → features (batch, width), run in inference mode.
    """

    def __init__(self, teacher: tf.keras.Model):
        self.width = teacher.output_shape[-1]
        self._compute = lambda images: tf.stop_gradient(teacher(images, training=False))

    def features(self, images: tf.Tensor, cached: tf.Tensor | None = None) -> tf.Tensor:
        """Features of all views, one view after the other.

        Args:
            images: (views·batch, size, size, channels) pixels.
            cached: (batch, views, width), features of these views from the cache; nothing is computed then.

        Returns:
            (views·batch, width) float32.
        """
        if cached is None:
            return self._compute(images)
        return tf.concat(tf.unstack(tf.cast(cached, tf.float32), axis=1), axis=0)


def swap_views(values: tf.Tensor, views: int) -> tf.Tensor:
    """Give every sample the value of its other view: (views·batch, …), rolled by one view."""
    return tf.roll(values, tf.shape(values)[0] // views, axis=0)
