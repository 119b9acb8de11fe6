"""Writes flatbuffer tables after a schema of a few lines, from plain dictionaries; `reading` is the inverse.

    schema = {"Point": ("x:uint", "y:uint"), "Line": ("name:string", "points:[Point]")}
    content = write_tables(schema, "Line", {"name": "a", "points": [{"x": 1, "y": 2}]}, identifier=b"LINE")
    read_tables(schema, "Line", content)

The kinds of fields are those that TensorFlow Lite's metadata needs: byte, uint, int, string, [float], a table,
a list of tables, and a union (``A|B``), whose value is the pair of the table's name and its fields.
"""

from typing import Any

import flatbuffers
from flatbuffers import number_types

Schema = dict[str, tuple[str, ...]]

_NUMBERS = {"byte": number_types.Int8Flags, "uint": number_types.Uint32Flags, "int": number_types.Int32Flags}


def write_tables(schema: Schema, root: str, values: dict[str, Any], identifier: bytes) -> bytes:
    """Write `values` as a flatbuffer whose root is the table `root`.

    Raises:
        KeyError: a field that the schema lacks.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, schema, root, values), identifier)
    return bytes(builder.Output())


def fields_of(schema: Schema, table: str) -> list[tuple[int, str, str]]:
    """(slot, name, kind) of each field; a union takes two slots, the first for its type."""
    fields, slot = [], 0
    for entry in schema[table]:
        name, kind = entry.split(":")
        fields.append((slot, name, kind))
        slot += 2 if "|" in kind or kind == "options" else 1
    return fields


def _write(builder: flatbuffers.Builder, schema: Schema, table: str, values: dict[str, Any]) -> int:
    fields = fields_of(schema, table)
    unknown = set(values) - {name for _, name, _ in fields}
    if unknown:
        raise KeyError(f"{table} has no field {', '.join(sorted(unknown))}")
    written = [
        (slot, kind, _write_child(builder, schema, kind, values[name])) for slot, name, kind in fields if name in values
    ]
    builder.StartObject(fields[-1][0] + (2 if "|" in fields[-1][2] else 1) if fields else 0)
    for slot, kind, value in written:
        if kind in _NUMBERS:
            builder.PrependSlot(_NUMBERS[kind], slot, value, 0)
        elif "|" in kind:
            builder.PrependUint8Slot(slot, value[0], 0)
            builder.PrependUOffsetTRelativeSlot(slot + 1, value[1], 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return builder.EndObject()


def _write_child(builder: flatbuffers.Builder, schema: Schema, kind: str, value: Any) -> Any:
    """What the table stores for a value: itself if a number, else the place where it was written."""
    if kind in _NUMBERS:
        return value
    if kind == "string":
        return builder.CreateString(value)
    if "|" in kind:
        members = kind.split("|")
        return members.index(value[0]) + 1, _write(builder, schema, *value)
    if not kind.startswith("["):
        return _write(builder, schema, kind, value)
    if kind == "[float]":
        builder.StartVector(4, len(value), 4)
        for number in reversed(value):
            builder.PrependFloat32(number)
    else:
        places = [_write(builder, schema, kind[1:-1], entry) for entry in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
    return builder.EndVector()
