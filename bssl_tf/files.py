"""Files that are either the old one or the new one, never half of it."""

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

SECONDS_UNTIL_FILES_SHOW = 60.0
"""Network file systems may take this long to show a file that another machine wrote."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write through a temporary file in the same folder that replaces `path` in one move."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8; bytes of a file name that are none become ``\\udc..``, which JSON reads back as they were."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


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
        digest.update(member.relative_to(path.parent).as_posix().encode())
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
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _add_file(digest: Any, path: Path) -> None:
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
