"""Files that are either the old one or the new one, never half of it."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bssl_tf.errors import ConfigError, DiskFull, UserError

SECONDS_UNTIL_FILES_SHOW = 60.0
"""Network file systems may take this long to show a file that another machine wrote."""


SECONDS_UNTIL_LEFT = 3600.0
"""After this time without a change nobody is writing a file any more, which takes seconds."""

TEMPORARY = ".tmp"
"""Ending of a file that is being written; its name begins with a dot."""
_TEMPORARY_FILE = re.compile(r"\..+\.[a-z0-9_]{8}(\.tmp)?")
_TENSORFLOW_TEMPORARY = re.compile(r"(ckpt-\d+_temp|checkpoint\.tmp[0-9a-f]+)")


def write_bytes(path: Path, content: bytes) -> None:
    """Write through a temporary file in the same folder that replaces `path` in one move.

    Raises:
        DiskFull: names the file, its size, and the space there is.
    """
    path = Path(path)
    with room_for(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_bytes(path, content)


@contextlib.contextmanager
def room_for(path: Path, size: int) -> Iterator[None]:
    """Raises:
    DiskFull: what is written within the block does not fit; names the file, its size, and the space there is.
    """
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise DiskFull(
            f"the disk is full: {path} takes {size_text(size)}, and {size_text(_free(path))} are free. Free some "
            "space, and give the same command again: what is finished is kept."
        ) from None


def _free(path: Path) -> int:
    """Bytes that are free on the disk of a file, which need not exist."""
    return shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.exists())).free


def reserve(path: Path) -> None:
    """Give a file that was made with its full size (`ftruncate`, a memory map) its blocks on the disk.

    Without them, writing to its memory map kills the process where the disk is full.

    Raises:
        DiskFull: there is no room for it.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with open(path, "r+b") as file, room_for(path, size := os.fstat(file.fileno()).st_size):
        os.posix_fallocate(file.fileno(), 0, size)


def check_writable(path: Path, flag: str) -> None:
    """Find out before the work that a file cannot be written after it.

    Args:
        path: the file; its folder is made if need be.
        flag: that named it, for the message.

    Raises:
        ConfigError: it is a folder, or cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{flag}={path} is a folder: name a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(f"{flag}={path} cannot be written ({error.strerror}): name another file.") from None


def check_folder_writable(folder: Path, flag: str) -> None:
    """The same for files in a folder, which is made if need be.

    Raises:
        ConfigError: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{flag}={folder} cannot be written ({error.strerror}): name another folder.") from None


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, of the system or of a library, says that a disk or a quota is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    return any(said in text for said in ("No space left on device", "Disk quota exceeded", "database or disk is full"))


def _write_bytes(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8; bytes of a file name that are none become ``\udc..``, which JSON reads back as they were."""
    write_bytes(path, encoded(text))


def encoded(text: str) -> bytes:
    """As `write_text` writes it."""
    return text.encode("utf-8", "backslashreplace")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """As `write_json` writes it."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


Content = TypeVar("Content", dict, list)


def read_json(path: Path, kind: type[Content], remedy: str) -> Content:
    """Read a JSON file that this program wrote, and that may be damaged or edited by hand.

    Args:
        path: the file.
        kind: dict or list, whichever it holds.
        remedy: what to do if it is not readable, for the message.

    Raises:
        UserError: it is no JSON, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # what is no UTF-8 is a ValueError, too
        raise UserError(f"{path} is damaged ({error}): {remedy}.") from None
    if not isinstance(content, kind):
        raise UserError(f"{path} must hold {_KINDS[kind]}, but holds {str(content)[:40]!r}: {remedy}.")
    return content


_KINDS = {dict: "names and values, {…}", list: "a list, […]"}
Kind = type | tuple[type, ...]
NUMBER = (int, float)
_LARGEST = 2.0**63


def check_values(content: Mapping[str, Any], kinds: Mapping[str, Kind], where: str | Path, remedy: str) -> None:
    """Refuse values that a JSON file which this program wrote cannot hold.

    Args:
        content: names and values.
        kinds: name → type or types of its value, which has to be there; `NUMBER` for numbers.
        where: the file, and the place in it, for the message.
        remedy: what to do, for the message.

    Raises:
        UserError: a value is missing or of another type, or a number is not finite; names it.
    """
    for name, kind in kinds.items():
        if name not in content:
            raise UserError(f"{where}: {name} is missing: {remedy}.")
        if not _is_of(content[name], kind if isinstance(kind, tuple) else (kind,)):
            raise UserError(f"{where}: {name} cannot be {str(content[name])[:40]!r}: {remedy}.")


def _is_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """A truth value is no number here, and a number is one that can be computed with."""
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds) and not (isinstance(value, NUMBER) and not abs(value) < _LARGEST)


def sweep(folder: Path, written: Iterable[str] | None, seconds_old: float = 0.0) -> list[Path]:
    """Delete what killed processes have left half written; call it only while nobody else writes there.

    Where others may, as in caches that runs share, `SECONDS_UNTIL_LEFT` tells leftovers from what is being written.

    Args:
        folder: not searched below its own level.
        written: names of the files that this program writes there; None: whatever ends as its files being written do.
        seconds_old: what was written to more recently is left alone.

    Returns:
        What was deleted.
    """
    names, swept = None if written is None else set(written), []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        ours = _TEMPORARY_FILE.fullmatch(path.name) is not None
        ours &= path.suffix == TEMPORARY if names is None else path.name.removesuffix(TEMPORARY)[1:-9] in names
        if path.is_symlink() or not (ours or _TENSORFLOW_TEMPORARY.fullmatch(path.name)):
            continue
        if seconds_old and not _is_older(path, seconds_old):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        swept.append(path)
    return swept


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:  # it was being written, and has its name now
        return False


def appears(path: Path, seconds: float = SECONDS_UNTIL_FILES_SHOW) -> bool:
    """Whether a file that another machine writes, or has written, shows here in time."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def fingerprint(path: Path) -> str:
    """Short hash of a file, or of all files of a folder with their relative names."""
    path = Path(path)
    members = [path] if path.is_file() else sorted(member for member in path.rglob("*") if member.is_file())
    digest = hashlib.sha256()
    for member in members:
        digest.update(os.fsencode(member.relative_to(path.parent).as_posix()))
        _add_file(digest, member)
    return digest.hexdigest()[:16]


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, as sha256sum prints it."""
    digest = hashlib.sha256()
    _add_file(digest, path)
    return digest.hexdigest()


def size_text(count: float) -> str:
    """A number of bytes for people: '3.1 MB'."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:  # what is not rounded to 1000
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _add_file(digest: Any, path: Path) -> None:
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
