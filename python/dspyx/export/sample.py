"""Values of every type, to rehearse with: an easy one, and an awkward one that shows how a text is
quoted and a number written."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import types
import uuid
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import dspy
import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .refusal import Refusal

_DEPTH_MAX = 4

_EASY: dict[Any, Any] = {
    int: 7,
    float: 0.5,
    bool: True,
    bytes: b"bytes",
    list: ["one", 2],
    dict: {"key": "value"},
    Any: "anything",
    datetime.datetime: datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    datetime.date: datetime.date(2026, 1, 2),
    datetime.time: datetime.time(3, 4, 5),
    datetime.timedelta: datetime.timedelta(days=1, seconds=30),
    decimal.Decimal: decimal.Decimal("1.50"),
    uuid.UUID: uuid.UUID(int=7),
    dspy.Image: dspy.Image(url="https://example.com/one.png"),
    dspy.Audio: dspy.Audio(data="AAAA", audio_format="wav"),
    dspy.File: dspy.File(file_id="file-1", filename="one.pdf"),
    dspy.History: dspy.History(messages=[]),
}
_AWKWARD: dict[Any, Any] = {
    int: -(10**15),
    float: 1e-07,
    bool: False,
    list: [],
    dict: {"é": [None, 1.0, 'it\'s "quoted"'], "2": {}},
    Any: [1, {"a": None}],
}


def sample(annotation: Any, name: str, *, awkward: bool, depth: int = 0) -> Any:
    """A value of a type."""

    def inner(it: Any) -> Any:
        return sample(it, name, awkward=awkward, depth=depth + 1)

    if depth > _DEPTH_MAX:
        raise _Endless
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is str:
        return f'a {name}:\n  "é" [1] {{it}}\\n — 😀' if awkward else f"a {name}"
    if annotation in (None, type(None)):
        return None
    if origin is Literal:
        return args[0] if awkward else args[-1]
    if origin is Annotated:
        return _fitting(FieldInfo.from_annotation(annotation), inner(args[0]))
    if origin in (Union, types.UnionType):
        return _of_union(args, inner, awkward)
    if origin is tuple and args:
        return (inner(args[0]),) * 2 if args[1:] == (...,) else tuple(map(inner, args))
    if origin in (list, set, frozenset, collections.abc.Sequence) and args:
        return _items(origin, args[0], inner, awkward)
    if origin is dict and args:
        return {} if awkward else {inner(args[0]): inner(args[1])}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return list(annotation)[0 if awkward else -1]
    known = _AWKWARD.get(annotation, _EASY.get(annotation)) if awkward else _EASY.get(annotation)
    if known is not None:
        return known
    if isinstance(annotation, type) and issubclass(annotation, (dspy.Code, dspy.Reasoning)):
        return pydantic.TypeAdapter(annotation).validate_python("print(1)")
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return _model(annotation, awkward, depth)
    if annotation in (set, frozenset, tuple):
        return annotation(["one"])
    raise Refusal(
        f"the field `{name}`",
        f"no value of `{annotation}` can be made up to compare the two runtimes",
        "give inputs yourself: --inputs '{…}'",
    )


class _Endless(Exception):
    """A type holds itself: the way out is a default, nothing, or an empty list."""


def _of_union(args: tuple[Any, ...], inner: Any, awkward: bool) -> Any:
    if awkward and type(None) in args:
        return None
    for arg in args:
        try:
            return inner(arg)
        except _Endless:
            continue
    raise _Endless


def _items(origin: Any, arg: Any, inner: Any, awkward: bool) -> Any:
    try:
        items = [inner(arg)]
    except _Endless:
        items = []
    kind = origin if origin in (set, frozenset) else list
    return kind([] if awkward and origin is not list else items)


def _model(cls: type[pydantic.BaseModel], awkward: bool, depth: int) -> Any:
    values = {}
    for name, field in cls.model_fields.items():
        try:
            value = sample(field.annotation, name, awkward=awkward, depth=depth + 1)
        except _Endless:
            if field.is_required():
                raise
            continue
        values[field.alias or name] = _fitting(field, value)
    return cls.model_validate(values)


def _fitting(field: FieldInfo, value: Any) -> Any:
    """The value, or another that keeps the field's bounds."""
    adapter = pydantic.TypeAdapter(_bounded(field))
    bounds = {type(it).__name__.lower(): it for it in field.metadata}
    low = getattr(bounds.get("ge"), "ge", None)
    above = getattr(bounds.get("gt"), "gt", None)
    high = getattr(bounds.get("le"), "le", None)
    others = [low, high, above + 1 if above is not None else None, 1, 0, field.default]
    least = getattr(bounds.get("minlen"), "min_length", 0)
    if isinstance(value, str):
        most = getattr(bounds.get("maxlen"), "max_length", None)
        others = [value[:most], "x" * least]
    if isinstance(value, list) and value:
        others = [value * least]
    for it in (value, *(it for it in others if it not in (None, PydanticUndefined))):
        try:
            adapter.validate_python(it)
        except pydantic.ValidationError:
            continue
        return it
    return value


def _bounded(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
