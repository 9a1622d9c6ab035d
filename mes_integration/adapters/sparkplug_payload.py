"""Sparkplug B payloads: the few fields of the public protobuf format that the mirror uses. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5
# Numbers of the format's fields.
_TIMESTAMP, _METRICS, _SEQ = 1, 2, 3
_NAME, _METRIC_TIMESTAMP, _DATATYPE, _IS_NULL = 1, 3, 4, 7
_LONG, _BOOLEAN, _STRING = 11, 14, 15


class DataType(enum.IntEnum):
    """Sparkplug's number for each type of value."""

    INT64 = 4
    BOOLEAN = 11
    STRING = 12


Value = int | bool | str | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One named value; its type is said also where there is none."""

    name: str
    type: DataType
    value: Value


def payload(metrics: Sequence[Metric], *, at_ms: int, seq: int | None) -> bytes:
    """A payload at a time in milliseconds since 1970; a death certificate has no `seq`."""
    parts = [_number(_TIMESTAMP, at_ms)]
    parts += [_block(_METRICS, _metric(metric, at_ms)) for metric in metrics]
    if seq is not None:
        parts.append(_number(_SEQ, seq))
    return b"".join(parts)


def _metric(metric: Metric, at_ms: int) -> bytes:
    head = (
        _block(_NAME, metric.name.encode())
        + _number(_METRIC_TIMESTAMP, at_ms)
        + _number(_DATATYPE, metric.type)
    )
    if metric.value is None:
        return head + _number(_IS_NULL, 1)
    if metric.type is DataType.STRING:
        return head + _block(_STRING, str(metric.value).encode())
    field = _BOOLEAN if metric.type is DataType.BOOLEAN else _LONG
    # A negative number stands as its two's complement of 64 bits.
    return head + _number(field, int(metric.value) % (1 << 64))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _block(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def asks_for(command: bytes, name: str) -> bool:
    """Whether a command sets the boolean metric of this name; one that cannot be read does not."""
    try:
        metrics = [dict(_fields(v)) for f, v in _fields(command) if f == _METRICS and _is(v)]
    except (IndexError, ValueError, TypeError):
        return False
    return any(m.get(_NAME) == name.encode() and m.get(_BOOLEAN) for m in metrics)


def _is(value: int | bytes) -> bool:
    return isinstance(value, bytes)


def _fields(data: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    if isinstance(data, int):
        raise TypeError
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        kind, value = tag & 7, 0
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield tag >> 3, value
            continue
        size, at = _size(data, at, kind)
        if at + size > len(data):
            raise ValueError
        yield tag >> 3, data[at : at + size]
        at += size


def _size(data: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind == _BYTES:
        return _read_varint(data, at)
    return {_FIXED64: 8, _FIXED32: 4}.get(kind) or _raise(), at


def _raise() -> int:
    raise ValueError


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError
