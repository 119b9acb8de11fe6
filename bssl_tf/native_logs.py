"""Holds back what native libraries write to standard error, until it is read."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def held_back_stderr() -> Iterator[BinaryIO]:
    """Within the block the process's standard error (C++ included) goes to the file that is yielded."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


def last_lines(log: BinaryIO, count: int = 15) -> str:
    """The end of what was held back."""
    sys.stderr.flush()
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])


def import_tensorflow() -> None:
    """Import TensorFlow without its log lines about plugins and missing GPUs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with held_back_stderr() as log:
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except Exception as error:
            raise ImportError(f"TensorFlow cannot be imported: {error}\n{last_lines(log)}") from error


def start_xla() -> None:
    """Start XLA, which logs that once, with its log held back."""
    import tensorflow as tf

    with held_back_stderr():
        tf.function(lambda: tf.zeros([]) + 1.0, jit_compile=True)()
