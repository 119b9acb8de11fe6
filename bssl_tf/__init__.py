"""bssl_tf: binary neural networks that learn from unlabelled images, ready for Larq Compute Engine.

The method is BSSL / BURN (https://arxiv.org/abs/2110.08851). Larq needs legacy Keras (Keras 2, the
package ``tf-keras``), so importing ``bssl_tf`` switches it on. Import ``bssl_tf`` before TensorFlow,
or set the environment variable ``TF_USE_LEGACY_KERAS=1``.
"""

from bssl_tf._legacy_keras import switch_on_legacy_keras

switch_on_legacy_keras()

__version__ = "0.1.0"
