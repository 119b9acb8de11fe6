"""Seeded ways to damage a .tflite file: its bytes, and, more cunningly, the objects in it.

mutated = mutation(content, seed)       # the same bytes for the same seed
"""

import random
import struct

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from bssl_tf.deploy.flatbuffer.edit import packed, unpacked

_NUMBERS = (0, 1, -1, 2, 4, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, -0x80000000, 10**9)


def mutation(content: bytes, seed: int) -> bytes:
    """One damaged copy of a file."""
    draw = random.Random(seed)
    ways = (_flip_bits, _write_number, _cut, _remove, _repeat, _object, _object, _object)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        try:
            content = draw.choice(ways)(content, draw)
        except Exception:  # objects cannot be taken from, or packed again into, a file that is damaged already
            content = _flip_bits(content, draw)
    return content


def _flip_bits(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _write_number(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    width, form = draw.choice(((1, "<B"), (2, "<H"), (4, "<I")))
    place = draw.randrange(max(len(changed) - 4, 1)) // width * width
    struct.pack_into(form, changed, place, draw.choice(_NUMBERS) & ((1 << (8 * width)) - 1))
    return bytes(changed)


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(8, len(content))]


def _remove(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(8, len(content))
    return content[:place] + content[place + draw.randint(1, 64) :]


def _repeat(content: bytes, draw: random.Random) -> bytes:
    place, size = draw.randrange(8, len(content)), draw.randint(1, 256)
    return content[:place] + content[place : place + size] * draw.randint(2, 4) + content[place + size :]


def _object(content: bytes, draw: random.Random) -> bytes:
    """Change one object: an index, an option, a shape, a type; or leave it out, or double it."""
    model = unpacked(content)
    graph = model.subgraphs[0]
    kind = draw.choice(
        ("index", "index", "custom options", "options", "shape", "type", "buffer", "code", "ends", "list")
    )
    operator, tensor = draw.choice(graph.operators), draw.choice(graph.tensors)
    if kind == "index":
        _change_entry(operator, draw.choice(("inputs", "outputs")), draw, len(graph.tensors))
    elif kind == "custom options":
        custom = [entry for entry in graph.operators if entry.customOptions is not None and len(entry.customOptions)]
        draw.choice(custom).customOptions = draw.choice((None, _scrambled(draw.choice(custom).customOptions, draw)))
    elif kind == "options":
        _change_options(draw.choice([entry for entry in graph.operators if entry.builtinOptions is not None]), draw)
    elif kind == "shape":
        _change_entry(tensor, "shape", draw, 64)
    elif kind == "type":
        tensor.type = draw.choice(range(-1, 20))
    elif kind == "buffer":
        tensor.buffer = draw.choice((0, len(model.buffers), draw.randrange(len(model.buffers)), 2**31 - 1))
    elif kind == "code":
        _change_code(model, operator, draw)
    elif kind == "ends":
        _change_entry(graph, draw.choice(("inputs", "outputs")), draw, len(graph.tensors))
    else:
        entries = getattr(
            *draw.choice(((graph, "operators"), (graph, "tensors"), (model, "buffers"), (model, "subgraphs")))
        )
        place = draw.randrange(len(entries))
        draw.choice((lambda: entries.pop(place), lambda: entries.insert(0, entries[place]), entries.clear))()
    return packed(model)


def _change_entry(holder, field: str, draw: random.Random, size: int) -> None:
    """One number of a list of numbers, or the list's length."""
    values = list(getattr(holder, field))
    change = draw.choice(("set", "set", "set", "pop", "append"))
    if change == "pop" and values:
        values.pop(draw.randrange(len(values)))
    elif change == "append" or not values:
        values.append(draw.randrange(-2, size + 2))
    else:
        values[draw.randrange(len(values))] = draw.choice((*_NUMBERS, draw.randrange(size)))
    setattr(holder, field, np.array(values, np.int32))


def _change_options(operator: schema.OperatorT, draw: random.Random) -> None:
    options = operator.builtinOptions
    numbers = [name for name, value in vars(options).items() if isinstance(value, int)]
    if numbers and draw.random() < 0.8:
        setattr(options, draw.choice(numbers), draw.choice((0, 1, 2, 3, 5, 100, 127)))
    else:
        operator.builtinOptions, operator.builtinOptionsType = None, 0


def _change_code(model: schema.ModelT, operator: schema.OperatorT, draw: random.Random) -> None:
    if draw.random() < 0.5:
        operator.opcodeIndex = draw.choice((len(model.operatorCodes), draw.randrange(len(model.operatorCodes)), 2**31))
    else:
        code = draw.choice(model.operatorCodes)
        code.customCode, code.builtinCode = None, draw.randrange(0, 209)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _scrambled(values: np.ndarray, draw: random.Random) -> np.ndarray:
    changed = np.array(values, np.uint8)
    changed[draw.randrange(len(changed))] = draw.randrange(256)
    return changed
