"""Makes ``tf.keras`` mean Keras 2, the only Keras that Larq supports."""

import os
import sys


def switch_on_legacy_keras() -> None:
    """Set ``TF_USE_LEGACY_KERAS`` before TensorFlow reads it.

    Raises:
        ImportError: TensorFlow was imported earlier in this process and has already picked Keras 3.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return
    version = getattr(tensorflow.keras, "__version__", "2")  # Keras 2 as tf.keras does not tell its own
    if not version.startswith("2"):
        raise ImportError(
            f"bssl_tf needs legacy Keras (Keras 2), but TensorFlow was imported first and chose Keras "
            f"{version}. Write `import bssl_tf` above `import tensorflow`, or set the environment "
            f"variable TF_USE_LEGACY_KERAS=1 before Python starts."
        )
