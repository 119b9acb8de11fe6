"""Names of classes: shown as text, written as folders, and stored as lines in a .tflite file."""

import unicodedata

from bssl_tf.errors import UserError

MOST_LETTERS = 60
_SPLITS = ("train", "test", "val", "validation")  # folders of these names are splits, see bssl_tf.data.sources.folder
_NOT_IN_FILE_NAMES = '/\\:*?"<>|'


def checked_class_name(name: str, others: list[str]) -> str:
    """The name, composed and without spaces around it.

    Args:
        name: as typed.
        others: names of the other classes.

    Raises:
        UserError: it cannot be the name of a folder on every system, or another class has it.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise UserError("A class needs a name.")
    if len(name) > MOST_LETTERS:
        raise UserError(f"A class name has at most {MOST_LETTERS} letters; this one has {len(name)}.")
    unprintable = [letter for letter in name if not letter.isprintable()]
    forbidden = [letter for letter in name if letter in _NOT_IN_FILE_NAMES]
    if unprintable or forbidden:
        raise UserError(f"A class name becomes a folder, so it cannot hold {(forbidden + unprintable)[0]!r}.")
    if name.startswith(".") or name.endswith("."):
        raise UserError("A class name becomes a folder, so it cannot begin or end with a dot.")
    if name.casefold() in _SPLITS:
        raise UserError(f"A folder named {name!r} means a part of a data set: choose another class name.")
    if name.casefold() in (other.casefold() for other in others):
        raise UserError(f"There is a class {name!r} already.")
    return name
