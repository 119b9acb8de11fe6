"""`import bssl_tf` alone gives Keras 2; where it comes too late it says what to do."""

import os
import subprocess
import sys

import pytest


def python(code):
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_importing_bssl_tf_first_switches_to_keras_2():
    result = python("import bssl_tf, tensorflow as tf; print(tf.keras.layers.Dense.__module__)")
    assert result.stdout.startswith("tf_keras."), result.stderr


@pytest.mark.parametrize("used", ["tf.keras.layers.Dense(1)", ""])
def test_importing_it_after_keras_3_was_chosen_says_what_to_do(used):
    result = python(f"import tensorflow as tf; {used}; import bssl_tf" if used else "import tensorflow, bssl_tf")
    assert result.returncode == 1
    assert "ImportError: bssl_tf needs legacy Keras" in result.stderr
    assert "`import bssl_tf` above `import tensorflow`" in result.stderr
    assert "TF_USE_LEGACY_KERAS=1" in result.stderr
