"""Imports bssl_tf before TensorFlow for all tests: it switches legacy Keras on."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import bssl_tf  # noqa: F401

LONGEST_FILES = (
    "test_browser.py",
    "test_strategy.py",
    "test_main_job.py",
    "test_students.py",
    "test_resume.py",
    "test_packaging.py",
)


def pytest_collection_modifyitems(items):
    """The longest files first: begun last, one would keep one core busy while the others have nothing left to do."""
    order = {name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
