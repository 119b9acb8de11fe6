"""What a setting is: a dataclass field with help and limits, of which `config.flags` makes a flag."""

import dataclasses
from typing import Any

MOST_COUNTED = 2**31 - 1
"""For what is counted where no smaller limit suggests itself: images, steps, MiB."""
MOST_EPOCHS = 1_000_000
MOST_IN_A_BATCH = 2**20
LARGEST_LEARNING_RATE = 1000.0
LARGEST_SEED = 2**32 - 1
"""NumPy's limit."""
MINUTES_OF_A_YEAR = 525_600.0
SECONDS_OF_A_WEEK = 604_800.0


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[Any, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    changes_result: bool = True,
) -> Any:
    """A dataclass field that is also a flag.

    Args:
        default: default value; its type is the flag's type.
        help: one sentence, shown by ``--help``.
        choices: the allowed values, where there are few.
        low: smallest allowed value.
        high: largest allowed value. Numbers need both limits (or choices); nan is outside of all limits.
        changes_result: whether a run resumed with another value would give another result.
    """
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if is_number and choices is None and None in (low, high):
        raise TypeError(f"a setting that is a number needs low and high: {help}")
    return dataclasses.field(
        default=default,
        metadata=dict(help=help, choices=choices, low=low, high=high, changes_result=changes_result),
    )
