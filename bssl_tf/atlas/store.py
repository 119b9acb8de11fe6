"""The session on the disk: classes, labels and every action, in one SQLite file.

An action is one transaction: it is on the disk whole before the browser sees it, or not at all. Every change raises
the revision. A window sends the revision it has seen; a label that has changed since is a `Conflict`, and nothing is
written.
"""

import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bssl_tf.atlas.database import Database
from bssl_tf.atlas.names import checked_class_name
from bssl_tf.errors import UserError

SOURCES = ("picked", "region", "neighbours", "suggested", "predicted", "check")
"""How a photo came to be labelled. ``check``: drawn at random, of those without a label, to measure accuracy, and not
trained on for that; such a photo stays one, whatever class it gets and wherever it is given."""
_NO_LABEL = (None, "picked")


class Conflict(UserError):
    """Another window has changed the same photos meanwhile; nothing was written."""


@dataclass(frozen=True)
class Label:
    """Class (an id) of a photo, and how the photo was chosen, one of `SOURCES`."""

    class_id: int
    source: str


@dataclass(frozen=True)
class Snapshot:
    """What a session holds at one revision.

    Attributes:
        revision: which.
        classes: names by id.
        labels: by path.
    """

    revision: int
    classes: dict[int, str]
    labels: dict[str, Label]


class SessionStore:
    """Classes and labels of one folder of photos.

    Args:
        path: the file; it is made if it does not exist.

    Raises:
        UserError: the file is no session of this program, or of a newer version.
    """

    def __init__(self, path: Path):
        self._database = Database(path)
        self.path = self._database.path
        self.run = uuid.uuid4().hex

    def close(self) -> None:
        self._database.close()

    # What there is

    @property
    def revision(self) -> int:
        return self._database.revision

    def classes(self) -> dict[int, str]:
        """Names by id, in the order in which they were made."""
        return dict(self._database.rows("SELECT id, name FROM classes WHERE alive ORDER BY id"))

    def labels(self) -> dict[str, Label]:
        """Labels by path."""
        rows = self._database.rows("SELECT path, class, source FROM labels WHERE class IS NOT NULL ORDER BY path")
        return {_text(path): Label(class_id, source) for path, class_id, source in rows}

    def labels_since(self, revision: int) -> dict[str, Label | None]:
        """What has changed after a revision; None: no label any more."""
        rows = self._database.rows("SELECT path, class, source FROM labels WHERE revision > ?", (revision,))
        return {_text(path): class_id and Label(class_id, source) for path, class_id, source in rows}

    def snapshot(self) -> Snapshot:
        """Classes and labels of one revision, whoever writes meanwhile."""
        with self._database.transaction():
            return Snapshot(self.revision, self.classes(), self.labels())

    # Actions

    def add_class(self, name: str, window: str = "") -> int:
        """The new class's id. Raises UserError for a name that cannot be used."""
        with self._database.transaction() as db:
            name = checked_class_name(name, list(self.classes().values()))
            class_id = db.insert("INSERT INTO classes (name) VALUES (?)", (name,))
            self._record("add class", {"class": class_id, "name": name}, window)
            return class_id

    def rename_class(self, class_id: int, name: str, window: str = "") -> None:
        with self._database.transaction() as db:
            classes = self._require_class(class_id)
            before = classes.pop(class_id)
            name = checked_class_name(name, list(classes.values()))
            db.execute("UPDATE classes SET name = ? WHERE id = ?", (name, class_id))
            self._record("rename class", {"class": class_id, "before": before, "name": name}, window)

    def remove_class(self, class_id: int, window: str = "") -> None:
        """The class goes, and its labels with it; undo brings both back."""
        with self._database.transaction() as db:
            name = self._require_class(class_id)[class_id]
            paths = [path for (path,) in db.execute("SELECT path FROM labels WHERE class = ?", (class_id,))]
            action = self._record("remove class", {"class": class_id, "name": name}, window)
            self._change(action, dict.fromkeys(paths, _NO_LABEL))
            db.execute("UPDATE classes SET alive = 0 WHERE id = ?", (class_id,))

    def label(
        self, paths: Iterable[str], class_id: int | None, *, source: str = "picked", seen: int | None = None,
        window: str = "",
    ) -> int:  # fmt: skip
        """Label photos, as one action.

        Args:
            paths: relative to the folder.
            class_id: None takes labels away.
            source: one of `SOURCES`; a photo that is a check stays one.
            seen: revision that the window has shown; None: the newest.
            window: which window acts; undo is by window.

        Returns:
            The new revision.

        Raises:
            Conflict: one of the photos has changed after `seen`.
            UserError: no such class or source.
        """
        if source not in SOURCES:
            raise UserError(f"The source of a label is one of {', '.join(SOURCES)}, not {source!r}.")
        keys = [_key(path) for path in dict.fromkeys(paths)]
        with self._database.transaction():
            if class_id is not None:
                self._require_class(class_id)
            self._check_unchanged(keys, self.revision if seen is None else seen)
            action = self._record("label", {"class": class_id, "photos": len(keys)}, window)
            self._change(action, dict.fromkeys(keys, (class_id, source)))
            return self.revision

    def undo(self, window: str = "") -> str:
        """Take back this window's last action, or one of a window of an earlier run; what it was, in words.

        Raises:
            UserError: there is none.
            Conflict: another window has changed the same photos, or renamed the class, since.
        """
        return self._flip(window, undo=True)

    def redo(self, window: str = "") -> str:
        """Do again what this window undid last. Raises as `undo`."""
        return self._flip(window, undo=False)

    # Inside

    def _flip(self, window: str, undo: bool) -> str:
        mine = "(window = ? OR run <> ?)"
        with self._database.transaction() as db:
            last = db.execute(
                f"SELECT COALESCE(MAX(id), 0) FROM actions WHERE NOT undone AND {mine}", (window, self.run)
            ).fetchone()[0]
            which = ("id = ?", "DESC") if undo else ("id > ? AND undone", "ASC")
            row = db.execute(
                f"SELECT id, kind, detail FROM actions WHERE {which[0]} AND {mine} ORDER BY id {which[1]}",
                (last, window, self.run),
            ).fetchone()
            if row is None:
                raise UserError(f"There is nothing to {'undo' if undo else 'redo'}.")
            action, kind, detail = row[0], row[1], json.loads(row[2])
            end = ("before", "before_source") if undo else ("after", "after_source")
            changes = {
                path: (class_id, source)
                for path, class_id, source in db.execute(
                    f"SELECT path, {end[0]}, {end[1]} FROM changes WHERE action = ?", (action,)
                )
            }
            self._check_newest(action)
            self._flip_class(kind, detail, undo)
            for class_id in {class_id for class_id, _ in changes.values()} - {None}:
                self._require_class(class_id)
            new = self._database.raise_revision()
            self._write(changes, new)
            db.execute("UPDATE actions SET undone = ? WHERE id = ?", (int(undo), action))
            return self._in_words(kind, detail)

    def _flip_class(self, kind: str, detail: Mapping, undo: bool) -> None:
        class_id = detail["class"]
        if kind == "rename class" or (kind == "add class" and undo):
            left = detail["before"] if kind == "rename class" and not undo else detail["name"]
            classes = self._require_class(class_id) if kind == "rename class" else self.classes()
            if classes.get(class_id, left) != left:
                raise Conflict(f"Another window has renamed the class {left!r} since. Nothing was changed.")
        if kind in ("add class", "remove class"):
            alive = (kind == "remove class") == undo
            labelled = self._database.rows("SELECT COUNT(*) FROM labels WHERE class = ?", (class_id,))[0][0]
            if not alive and labelled and kind == "add class":
                raise Conflict(f"The class {detail['name']!r} has {labelled} labels of another window: it stays.")
            if alive:
                checked_class_name(detail["name"], list(self.classes().values()))
            self._database.execute("UPDATE classes SET alive = ? WHERE id = ?", (int(alive), class_id))
        elif kind == "rename class":
            name = detail["before"] if undo else detail["name"]
            others = {key: value for key, value in self.classes().items() if key != class_id}
            name = checked_class_name(name, list(others.values()))
            self._database.execute("UPDATE classes SET name = ? WHERE id = ?", (name, class_id))

    def _in_words(self, kind: str, detail: Mapping) -> str:
        if kind != "label":
            return f"{kind} “{detail['name']}”"
        photos = f"{detail['photos']} photo{'s' if detail['photos'] != 1 else ''}"
        if detail["class"] is None:
            return f"remove the labels of {photos}"
        name = self._database.rows("SELECT name FROM classes WHERE id = ?", (detail["class"],))[0][0]
        return f"label {photos} as “{name}”"

    def _check_unchanged(self, keys: list[bytes], seen: int) -> None:
        newer = {path for (path,) in self._database.rows("SELECT path FROM labels WHERE revision > ?", (seen,))}
        changed = [key for key in keys if key in newer]
        if changed:
            raise Conflict(
                f"Another window has labelled {len(changed)} of these {len(keys)} photos meanwhile. Nothing was"
                " changed."
            )

    def _check_newest(self, action: int) -> None:
        """No later action that still holds has changed the same photos."""
        later = self._database.rows(
            "SELECT COUNT(DISTINCT mine.path) FROM changes AS mine JOIN changes AS theirs ON theirs.path = mine.path"
            " JOIN actions ON actions.id = theirs.action"
            " WHERE mine.action = ? AND theirs.action > mine.action AND NOT actions.undone",
            (action,),
        )[0][0]
        if later:
            raise Conflict(f"Another window has labelled {later} of these photos since. Nothing was changed.")

    def _require_class(self, class_id: int) -> dict[int, str]:
        classes = self.classes()
        if class_id not in classes:
            raise Conflict("This class does not exist any more: another window has removed it.")
        return classes

    def _record(self, kind: str, detail: Mapping, window: str) -> int:
        self._database.raise_revision()
        row = (kind, json.dumps(detail, ensure_ascii=False), window, self.run, time.time())
        return self._database.insert("INSERT INTO actions (kind, detail, window, run, at) VALUES (?, ?, ?, ?, ?)", row)

    def _change(self, action: int, after: Mapping[bytes, tuple[int | None, str]]) -> None:
        rows = self._database.rows("SELECT path, class, source FROM labels")
        before = {path: (class_id, source) for path, class_id, source in rows}
        checks = {path for path, (_, source) in before.items() if source == "check"}
        after = {path: (new, "check" if path in checks else source) for path, (new, source) in after.items()}
        self._database.execute_many(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)",
            [(action, path, *before.get(path, _NO_LABEL), *new) for path, new in after.items()],
        )
        self._write(after, self.revision)

    def _write(self, labels: Mapping[bytes, tuple[int | None, str]], revision: int) -> None:
        self._database.execute_many(
            "INSERT INTO labels VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET class = excluded.class,"
            " source = excluded.source, revision = excluded.revision",
            [(path, *label, revision) for path, label in labels.items()],
        )


def _key(path: str) -> bytes:
    """The bytes on the disk, which are the same whatever the encoding of the system."""
    return os.fsencode(path)


def _text(key: bytes) -> str:
    return os.fsdecode(key)
