"""Files that are either the old one or the new one, never half of it."""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


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
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def fingerprint(path: Path) -> str:
    """Short hash of a file, or of all files of a folder with their relative names."""
    path = Path(path)
    members = [path] if path.is_file() else sorted(member for member in path.rglob("*") if member.is_file())
    digest = hashlib.sha256()
    for member in members:
        digest.update(member.relative_to(path.parent).as_posix().encode())
        with open(member, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
