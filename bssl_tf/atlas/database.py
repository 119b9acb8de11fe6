"""The SQLite file of a session: tables, transactions, and a revision that every change raises."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bssl_tf.errors import DiskFull, UserError
from bssl_tf.files import size_text

_FORMAT = 1
_ROOM = 400_000
"""Bytes: two databases with their journals and shared memory."""
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE classes (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, alive INTEGER NOT NULL DEFAULT 1);
CREATE TABLE labels (
    path BLOB PRIMARY KEY, class INTEGER REFERENCES classes, source TEXT NOT NULL, revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, detail TEXT NOT NULL, window TEXT NOT NULL,
    run TEXT NOT NULL, at REAL NOT NULL, undone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE changes (
    action INTEGER NOT NULL REFERENCES actions, path BLOB NOT NULL, before INTEGER, before_source TEXT NOT NULL,
    after INTEGER, after_source TEXT NOT NULL, PRIMARY KEY (action, path)
) WITHOUT ROWID;
CREATE INDEX labels_by_revision ON labels (revision);
CREATE INDEX changes_by_path ON changes (path);
"""


def check_room(folder: Path) -> None:
    """Raises:
    DiskFull: SQLite has no room to work in a folder. What it says itself differs (an I/O error, no database).
    """
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        raise DiskFull(
            f"the disk of {folder} is full: a session takes {size_text(_ROOM)} at least, and {size_text(free)} are "
            "free. Free some space, and start again: what is there is kept."
        )


class Database:
    """Several threads and processes may use the same file.

    Args:
        path: the file; it is made if it does not exist.

    Raises:
        UserError: the file is no session of this program, or of another version.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._lock = threading.RLock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
            self.execute("PRAGMA journal_mode = WAL")
            self.execute("PRAGMA synchronous = FULL")  # on the disk before the answer, even if the power fails
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} is no session of this program ({error}): name another --session.") from error

    def _prepare(self) -> None:
        with self.transaction():
            if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'facts'"):
                for statement in _SCHEMA.split(";"):
                    self.execute(statement)
                self.execute("INSERT INTO facts VALUES ('format', ?), ('revision', '0')", (str(_FORMAT),))
        found = self.fact("format")
        if found != str(_FORMAT):
            raise UserError(f"{self.path} has format {found}, this version reads {_FORMAT}: name another --session.")

    @property
    def revision(self) -> int:
        return int(self.fact("revision") or 0)

    def raise_revision(self) -> int:
        """The new revision."""
        self.execute("UPDATE facts SET value = CAST(value AS INTEGER) + 1 WHERE name = 'revision'")
        return self.revision

    def fact(self, name: str) -> Any:
        """What is noted under a name; None: nothing."""
        found = self.rows("SELECT value FROM facts WHERE name = ?", (name,))
        return found[0][0] if found else None

    def note(self, name: str, value: str | bytes) -> None:
        """Keep a fact in place of the one of that name."""
        self.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self._lock:
            return self._connection.execute(statement, values)

    def insert(self, statement: str, values: Sequence[Any]) -> int:
        """Execute, and give the number of the new row."""
        return int(self.execute(statement, values).lastrowid or 0)

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._lock:
            self._connection.executemany(statement, rows)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator["Database"]:
        """All that is done inside, or nothing; other threads wait."""
        with self._lock:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite may have rolled back itself, on a full disk
                    self.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()
