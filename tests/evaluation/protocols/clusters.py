"""Points that fall into classes."""

import numpy as np


def clusters(count, classes=4, width=12, spread=0.3, seed=0):
    """Points around one direction per class, with lengths that say nothing."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    labels = random.integers(0, classes, count)
    points = centres[labels] + spread * random.normal(size=(count, width))
    return (points * random.uniform(0.1, 10, (count, 1))).astype(np.float32), labels
