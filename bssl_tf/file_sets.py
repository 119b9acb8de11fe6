"""Files that belong together are written as one: all of them are the new ones, or all are the old ones.

They are first written to a folder beside them, and moved into place once all are there. A process that is killed while
it writes leaves the old files; one that is killed while it moves leaves the rest to `finish_set`.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bssl_tf.files import write_bytes

_COMPLETE = "complete"


def write_set(main: Path, contents: Mapping[str, bytes]) -> None:
    """Write files of one folder, whole and together. Nobody else may write them meanwhile (`bssl_tf.locks`).

    Args:
        main: the file that names the set; the others lie beside it.
        contents: name → content of every file.

    Raises:
        DiskFull: there is no room; nothing was changed.
    """
    folder = _folder_of(main)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name, content in contents.items():
            write_bytes(folder / name, content)
        write_bytes(folder / _COMPLETE, b"")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finish_set(main)


def finish_set(main: Path) -> None:
    """Finish, or take back, what a killed process has begun to write."""
    folder = _folder_of(main)
    if (folder / _COMPLETE).exists():
        for path in sorted(folder.iterdir()):
            if path.name != _COMPLETE:
                os.replace(path, main.parent / path.name)
    shutil.rmtree(folder, ignore_errors=True)


def _folder_of(main: Path) -> Path:
    return main.parent / f".{main.name}.set"
