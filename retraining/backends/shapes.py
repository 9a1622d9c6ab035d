"""Holds a request to the service's own description, more strictly than boto3 does.

boto3 checks types and required members; the enumerations, patterns, lengths and ranges it leaves
to the service. Here they are checked before anything is sent, so that a mistake is a sentence.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
}
# Java's classes, in the patterns of the service description; all stand inside brackets there.
_CLASSES = {
    r"\p{L}": r"A-Za-z\u00aa-\uffff",
    r"\p{M}": r"\u0300-\u036f",
    r"\p{N}": r"0-9",
    r"\p{Z}": r"\u0020\u00a0",
    r"\p{S}": r"$+<=>^`|~",
    r"\p{P}": r"!-#%-*,-/:;?@\[-\]_{}",
    r"\p{Alnum}": r"A-Za-z0-9",
}
# `([...]*)${1,256}`: an end mark that is repeated, in tag and property names.
_REPEATED_END = re.compile(r"\*\)\$\{(\d+,\d+)\}")


@functools.cache
def service(name: str) -> ServiceModel:
    """The description of an AWS service that boto3 itself works from."""
    return botocore.session.get_session().get_service_model(name)


def operation_of(service_name: str, method: str) -> str:
    """`create_training_job` -> `CreateTrainingJob`."""
    names = {xform_name(name): name for name in service(service_name).operation_names}
    return names[method]


def faults(service_name: str, operation: str, request: dict[str, Any]) -> list[str]:
    """Everything that is wrong with the request, each as `path: what`; empty when it is right."""
    shape = service(service_name).operation_model(operation).input_shape
    if shape is None:
        return [f"{operation}: takes no parameters"] if request else []
    return list(_check(shape, request, operation))


def _check(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _list(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _map(shape, value, path)
    else:
        yield from _scalar(shape, value, path)


def _structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: an object is expected, not {type(value).__name__}"
        return
    for name in shape.required_members:
        if name not in value:
            yield f"{path}.{name}: is required"
    for name, inner in value.items():
        member = shape.members.get(name)
        if member is None:
            yield f"{path}.{name}: is not known"
        else:
            yield from _check(member, inner, f"{path}.{name}")


def _list(shape: ListShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: a list is expected, not {type(value).__name__}"
        return
    yield from _bounds(shape, len(value), path, "entries")
    for number, inner in enumerate(value):
        yield from _check(shape.member, inner, f"{path}[{number}]")


def _map(shape: MapShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: a map is expected, not {type(value).__name__}"
        return
    yield from _bounds(shape, len(value), path, "entries")
    for key, inner in value.items():
        yield from _check(shape.key, key, f"{path}<{key}>")
        yield from _check(shape.value, inner, f"{path}.{key}")


def _scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    expected = _PYTHON.get(shape.type_name)
    if expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        yield f"{path}: {shape.type_name} is expected, not {type(value).__name__}"
        return
    if isinstance(value, str):
        yield from _string(shape, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(shape, value, path, "")


def _string(shape: Shape, value: str, path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), path, "characters")
    allowed = shape.enum if isinstance(shape, StringShape) else []
    if allowed and value not in allowed:
        yield f"{path}: {value!r} is none of {', '.join(allowed[:8])}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(_translated(pattern), value, re.DOTALL):
        yield f"{path}: {value!r} does not match {pattern}"


def _translated(pattern: str) -> str:
    for theirs, ours in _CLASSES.items():
        pattern = pattern.replace(theirs, ours)
    return _REPEATED_END.sub(r"{\1})", pattern)


def _bounds(shape: Shape, value: float, path: str, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield f"{path}: {value} {what} is under {low}".replace("  ", " ")
    if high is not None and value > high:
        yield f"{path}: {value} {what} is over {high}".replace("  ", " ")
