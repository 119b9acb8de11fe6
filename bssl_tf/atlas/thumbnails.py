"""Small pictures of photos, kept in one SQLite file, which may be deleted at any time."""

import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from bssl_tf.atlas.photos import PhotoFolder

_FORMAT = 1


class ThumbnailCache:
    """Args:
    path: the file; a damaged one is replaced.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open(path)
        except sqlite3.DatabaseError:
            path.unlink()
            self._db = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE IF NOT EXISTS thumbnails (stamp TEXT PRIMARY KEY, content BLOB) WITHOUT ROWID")
        return db

    def get(self, photos: PhotoFolder, number: int) -> bytes:
        """The thumbnail of a photo as it now is; UserError as `PhotoFolder.file`."""
        file = photos.file(number)
        try:
            status = os.stat(file)
            stamp = f"{_FORMAT} {status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
        except OSError:
            return photos.thumbnail(number)  # gone since the scan: a grey square
        with self._lock:
            row = self._db.execute("SELECT content FROM thumbnails WHERE stamp = ?", (stamp,)).fetchone()
        if row is None:
            row = (photos.thumbnail(number),)
            with self._lock, suppress(sqlite3.OperationalError):  # the disk is full: it is made again next time
                self._db.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", (stamp, row[0]))
        return row[0]

    def close(self) -> None:
        with self._lock:
            self._db.close()
