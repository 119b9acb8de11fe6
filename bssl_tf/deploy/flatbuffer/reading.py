"""Reads flatbuffer tables of unknown origin into plain dictionaries, after a schema as in `tables`.

    read_tables({"Point": ("x:uint", "y:uint")}, "Point", content)      # {"x": 1, "y": 2}

Every offset is checked before it is followed, and together the tables, lists and texts may take no more room than the
file has, each as often as it is read, so that lists that share their members (n lists of the same n tables of …) are
refused. Nor may there be more than `MOST_PARTS` of them.

Beyond the kinds of `tables` there are bool, long, ulong, [ubyte] (bytes), [int], [long], [bool], and ``options``: a
union whose value is the pair of its member's number and the member's fields, where the schema has a table
``options:NUMBER``, else none.
"""

import struct
from typing import Any

import numpy as np

from bssl_tf.deploy.flatbuffer.tables import Schema, fields_of

_NUMBERS = {"byte": "<b", "bool": "<?", "int": "<i", "uint": "<I", "long": "<q", "ulong": "<Q"}
_VECTORS = {"[bool]": "<u1", "[ubyte]": "<u1", "[int]": "<i4", "[float]": "<f4", "[long]": "<i8"}
_OPTIONS = "options"
MOST_PARTS = 1_000_000
"""Tables, lists and texts of a file; the largest networks have some ten thousand."""


class TableError(ValueError):
    """The bytes are no flatbuffer of this schema; the message says where."""


def read_tables(schema: Schema, root: str, content: bytes) -> dict[str, Any]:
    """Fields of the table `root`; fields that are absent are left out, those that the schema lacks are passed over.

    Raises:
        TableError: an offset that leads out of the content, content that unpacks to more than its size, or more than
            `MOST_PARTS` parts.
    """
    reader = _Reader(schema, content)
    return reader.table(root, reader.follow(0))


class _Reader:
    def __init__(self, schema: Schema, content: bytes):
        self._fields = {table: fields_of(schema, table) for table in schema}
        self._content, self._room, self._parts = content, len(content), 0

    def table(self, name: str, position: int) -> dict[str, Any]:
        vtable, size = self._vtable(position)
        values = {}
        for slot, field, kind in self._fields[name]:
            place = self._place(vtable, position, size, slot)
            if place is None:
                continue
            if "|" in kind or kind == _OPTIONS:
                value = self._place(vtable, position, size, slot + 1)
                if value is not None:
                    values[field] = self._union(kind, self._number("<B", place), self.follow(value))
            else:
                values[field] = self._value(kind, place)
        return values

    def follow(self, place: int) -> int:
        """Where the offset that stands at `place` leads."""
        offset = self._number("<I", place)
        if offset == 0 or place + offset > len(self._content) - 4:
            raise TableError(f"the offset at byte {place} leads out of the file")
        return place + offset

    def _value(self, kind: str, place: int) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind], place)
        position = self.follow(place)
        if kind == "string":
            try:
                return self._vector(position, "<u1").tobytes().decode()
            except UnicodeDecodeError as error:
                raise TableError(f"the text at byte {position} is not UTF-8") from error
        if kind in _VECTORS:
            return self._vector(position, _VECTORS[kind])
        if kind.startswith("["):
            offsets = self._vector(position, "<u4")
            places = range(position + 4, position + 4 + 4 * len(offsets), 4)
            member = kind[1:-1]
            if member == "string":
                return [self._value("string", place) for place in places]
            return [self.table(member, self.follow(place)) for place in places]
        return self.table(kind, position)

    def _union(self, kind: str, member: int, position: int) -> Any:
        if kind == _OPTIONS:
            name = f"{_OPTIONS}:{member}"
            if name in self._fields:
                return member, self.table(name, position)
            self._vtable(position)
            return member, {}
        members = kind.split("|")
        if not 0 < member <= len(members):
            raise TableError(f"the union at byte {position} has a member of number {member}, of {len(members)}")
        return members[member - 1], self.table(members[member - 1], position)

    def _vtable(self, position: int) -> tuple[int, int]:
        """Where the offsets of a table's fields stand, and the table's size."""
        vtable = position - self._number("<i", position)
        if vtable % 2 or position % 4:
            raise TableError(f"the table at byte {position} is not aligned")
        length, size = self._number("<H", vtable), self._number("<H", vtable + 2)
        if length < 4 or length % 2 or size < 4:
            raise TableError(f"the table at byte {position} is described wrongly")
        self._check(vtable, length)
        self._check(position, size)
        self._take(size, position)
        return vtable, size

    def _place(self, vtable: int, position: int, size: int, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry >= self._number("<H", vtable):
            return None
        offset = self._number("<H", vtable + entry)
        if offset >= size:
            raise TableError(f"the table at byte {position} has a field behind its end")
        return position + offset if offset else None

    def _vector(self, position: int, kind: str) -> np.ndarray:
        count, width = self._number("<I", position), np.dtype(kind).itemsize
        self._check(position + 4, count * width)
        self._take(4 + count * width, position)
        return np.frombuffer(self._content, kind, count, position + 4)

    def _number(self, form: str, place: int) -> Any:
        self._check(place, struct.calcsize(form))
        return struct.unpack_from(form, self._content, place)[0]

    def _check(self, place: int, size: int) -> None:
        if place < 0 or place + size > len(self._content):
            raise TableError(f"{size} bytes at byte {place} are not in the file")

    def _take(self, size: int, position: int) -> None:
        self._room -= size
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TableError(f"it has more than {MOST_PARTS:,} tables, lists and texts")
        if self._room < 0:
            raise TableError(f"what is read at byte {position} was counted before: parts of the file overlap")
