"""AMF0, in which RTMP's commands are written (Adobe, "AMF 0 file format specification")."""

import struct
from collections.abc import Sequence

Value = bool | float | str | None | Sequence["Value"] | dict[str, "Value"]

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_MAP, _END, _LIST, _DATE, _LONG = 8, 9, 10, 11, 12
_DEEPEST = 16
_DOUBLE = struct.Struct(">d")


def encode(*values: Value) -> bytes:
    """Return the values, one after the other."""
    return b"".join(_encoded(one) for one in values)


def decode(data: bytes) -> list[Value]:
    """Return all values. Raises `ValueError` when they make no sense."""
    values, at = [], 0
    try:
        while at < len(data):
            value, at = _decoded(data, at)
            values.append(value)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError("no AMF") from error
    return values


def _encoded(value: Value) -> bytes:
    match value:
        case None:
            return bytes([_NULL])
        case bool():
            return bytes([_BOOLEAN, value])
        case float() | int():
            return bytes([_NUMBER]) + _DOUBLE.pack(value)
        case str():
            return bytes([_STRING]) + _text(value)
        case dict():
            fields = b"".join(_text(name) + _encoded(one) for name, one in value.items())
            return bytes([_OBJECT]) + fields + b"\0\0" + bytes([_END])
        case _:
            items = b"".join(_encoded(one) for one in value)
            return bytes([_LIST]) + len(value).to_bytes(4) + items


def _text(text: str) -> bytes:
    body = text.encode()
    return len(body).to_bytes(2) + body


def _decoded(data: bytes, at: int, depth: int = 0) -> tuple[Value, int]:
    if depth > _DEEPEST:
        raise ValueError("AMF too deep")
    kind, at = data[at], at + 1
    match kind:
        case 0 | 11:
            more = 0 if kind == _NUMBER else 2  # a date is followed by its time zone
            return _DOUBLE.unpack_from(data, at)[0], at + 8 + more
        case 1:
            return bool(data[at]), at + 1
        case 2 | 12:
            width = 2 if kind == _STRING else 4
            end = at + width + int.from_bytes(data[at : at + width])
            return data[at + width : end].decode(), end
        case 3 | 8:
            return _fields(data, at + (4 if kind == _MAP else 0), depth + 1)
        case 10:
            items: list[Value] = []
            count, at = int.from_bytes(data[at : at + 4]), at + 4
            for _ in range(count):
                item, at = _decoded(data, at, depth + 1)
                items.append(item)
            return items, at
        case 5 | 6:
            return None, at
    raise ValueError(f"AMF type {kind}")


def _fields(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    fields: dict[str, Value] = {}
    while True:
        size = int.from_bytes(data[at : at + 2])
        name, at = data[at + 2 : at + 2 + size].decode(), at + 2 + size
        if data[at] == _END and not name:
            return fields, at + 1
        fields[name], at = _decoded(data, at, depth)
