"""Imports bssl_tf before TensorFlow for all tests: it switches legacy Keras on."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import bssl_tf  # noqa: E402,F401
