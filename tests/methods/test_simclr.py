import numpy as np
import tensorflow as tf

from bssl_tf.losses import nt_xent
from bssl_tf.methods.simclr import SimClr
from bssl_tf.models import BackboneSpec, build_backbone

SPEC = BackboneSpec(
    "resnet_small", image_size=8, channels=1, mean=(100.0,), std=(60.0,), width=16, stages=1, mode="float"
)


def test_learns_to_tell_images_apart():
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (32, 8, 8, 1))
    views = tuple(tf.constant(np.clip(images + random.normal(0, 10, images.shape), 0, 255), tf.float32) for _ in "12")
    model = SimClr(build_backbone(SPEC), projection_size=16, temperature=0.2)
    model.compile(tf.keras.optimizers.Adam(3e-3))
    losses = model.fit(tf.data.Dataset.from_tensors((views,)).repeat(15), epochs=2, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * np.log(63)  # log 63: guessing among all other views


def test_loss_is_nt_xent_of_the_projections():
    model = SimClr(build_backbone(SPEC), projection_size=16, temperature=0.3)
    first, second = (tf.random.stateless_uniform((8, 8, 8, 1), (0, i), maxval=255.0) for i in range(2))
    projected = [model.head(model.backbone(view)) for view in (first, second)]
    expected = tf.reduce_mean(nt_xent(*projected, 0.3))
    np.testing.assert_allclose(model.loss_terms((first, second), training=False)["loss"], expected, rtol=1e-4)
