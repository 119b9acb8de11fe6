"""What a setting is: a dataclass field with help and limits, of which `config.flags` makes a flag."""

import dataclasses


def setting(default, help, *, choices=None, low=None, high=None, changes_result=True):
    """A dataclass field that is also a flag.

    Args:
        default: default value; its type is the flag's type.
        help: one sentence, shown by ``--help``.
        choices: the allowed values, where there are few.
        low: smallest allowed value.
        high: largest allowed value.
        changes_result: whether a run resumed with another value would give another result.
    """
    return dataclasses.field(
        default=default,
        metadata=dict(help=help, choices=choices, low=low, high=high, changes_result=changes_result),
    )
