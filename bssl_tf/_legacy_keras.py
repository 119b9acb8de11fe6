"""Makes ``tf.keras`` mean Keras 2, the only Keras that Larq supports."""

import os
import sys


def switch_on_legacy_keras() -> None:
    """Set ``TF_USE_LEGACY_KERAS`` before TensorFlow reads it.

    Raises:
        ImportError: TensorFlow was imported earlier in this process without it, and has wired Keras 3 in.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return
    if not getattr(tensorflow, "_tf_uses_legacy_keras", True):  # a note of its own import; later ones may not have it
        raise ImportError(
            "bssl_tf needs legacy Keras (Keras 2), but TensorFlow was imported first and chose Keras 3. Write `import "
            "bssl_tf` above `import tensorflow`, or set the environment variable TF_USE_LEGACY_KERAS=1 before Python "
            "starts."
        )
