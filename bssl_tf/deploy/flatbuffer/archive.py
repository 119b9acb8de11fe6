"""The zip archive behind the flatbuffer of a .tflite file, which may come from anybody: read within limits."""

import io
import struct
import zipfile
from collections.abc import Collection

LARGEST_DIRECTORY = 2**18
LARGEST_MEMBER = 2**23
"""Of one attached file, and of all that are read."""
_END, _END_SIZE = b"PK\5\6", 22
_ZIP64_LOCATOR, _ZIP64_LOCATOR_SIZE = b"PK\6\7", 20


class ArchiveError(ValueError):
    """The archive is damaged, or larger than what convert.py attaches; the message says which."""


def attached_bytes(content: bytes) -> int:
    """Length of the zip archive behind the flatbuffer; 0 if there is none.

    Raises:
        ArchiveError: it is damaged or too large.
    """
    if not _has_archive(content):
        return 0
    with _opened(content) as archive:
        return len(content) - min((entry.header_offset for entry in archive.infolist()), default=len(content))


def attached_texts(content: bytes, names: Collection[str]) -> dict[str, str]:
    """Attached files, each read once.

    Args:
        content: of the .tflite file.
        names: of the files.

    Returns:
        name → text.

    Raises:
        KeyError: there is none of that name.
        ArchiveError: one is damaged, or no text, or they are too large together.
    """
    wanted, total = sorted(set(names)), 0
    if wanted and not _has_archive(content):
        raise KeyError(wanted[0])
    if not wanted:
        return {}
    texts = {}
    with _opened(content) as archive:
        for name in wanted:
            entry = archive.getinfo(name)
            total += entry.file_size
            if total > LARGEST_MEMBER:
                raise ArchiveError(
                    f"its attached file {name!r} has {entry.file_size:,} bytes, over {LARGEST_MEMBER:,} with those "
                    "before it"
                )
            try:
                with archive.open(entry) as stream:
                    texts[name] = stream.read(entry.file_size).decode()
            except Exception as error:  # decompressors raise whatever they trip over
                raise ArchiveError(f"its attached file {name!r} is damaged: {error}") from error
    return texts


def _has_archive(content: bytes) -> bool:
    return content[-_END_SIZE:][:4] == _END and content[-2:] == b"\0\0"


def _opened(content: bytes) -> zipfile.ZipFile:
    directory = struct.unpack_from("<I", content, len(content) - _END_SIZE + 12)[0]
    behind = len(content) - _END_SIZE - _ZIP64_LOCATOR_SIZE
    if directory > LARGEST_DIRECTORY or content[max(behind, 0) :][:4] == _ZIP64_LOCATOR:
        raise ArchiveError(f"its list of attached files has {directory:,} bytes, over {LARGEST_DIRECTORY:,}")
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # struct.error, NotImplementedError, … as well as BadZipFile
        raise ArchiveError(f"its list of attached files is damaged: {error}") from error
