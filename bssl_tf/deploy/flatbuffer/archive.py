"""The zip archive behind the flatbuffer of a .tflite file, which may come from anybody: read within limits."""

import io
import struct
import zipfile

LARGEST_DIRECTORY = 2**18
LARGEST_MEMBER = 2**23
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


def attached_text(content: bytes, name: str) -> str:
    """One attached file.

    Raises:
        KeyError: there is none of that name.
        ArchiveError: it is damaged, too large, or no text.
    """
    if not _has_archive(content):
        raise KeyError(name)
    with _opened(content) as archive:
        entry = archive.getinfo(name)
        if entry.file_size > LARGEST_MEMBER:
            raise ArchiveError(f"its attached file {name!r} has {entry.file_size:,} bytes, over {LARGEST_MEMBER:,}")
        try:
            with archive.open(entry) as stream:
                return stream.read(LARGEST_MEMBER + 1)[:LARGEST_MEMBER].decode()
        except Exception as error:  # decompressors raise whatever they trip over
            raise ArchiveError(f"its attached file {name!r} is damaged: {error}") from error


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
