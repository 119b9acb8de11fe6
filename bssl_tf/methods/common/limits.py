"""Limits of a method's options, declared beside their defaults.

    def __init__(self, backbone, *, momentum: Annotated[float, Limits(0.0, 1.0)] = 0.99)

`bssl_tf.methods.source` reads them from the source. Options with few values are ``Literal["one", "another"]``.
"""

from typing import NamedTuple


class Limits(NamedTuple):
    """Smallest and largest allowed value of a number."""

    low: float
    high: float
