"""Types: Python's annotations as the program file writes them, and the program's own enums and
models as its `types`."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import types
import typing
import uuid
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import dspy
import pydantic
from dspy.adapters.types.base_type import Type as DspyType
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .refusal import RUN_PYTHON, Refusal
from .value import plain

_PLAIN = (str, int, float, bool, bytes, list, dict, tuple, set, frozenset)
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_SCALARS = (*_PLAIN, *_TIMES, decimal.Decimal, uuid.UUID)
_DSPY = (dspy.Image, dspy.Audio, dspy.File, dspy.History, dspy.Tool, dspy.ToolCalls, dspy.Reasoning)
_CONTAINERS = {list: "list", dict: "dict", tuple: "tuple", set: "set", frozenset: "frozenset"}
_BOUNDS = {
    annotated_types.Gt: "gt",
    annotated_types.Ge: "ge",
    annotated_types.Lt: "lt",
    annotated_types.Le: "le",
    annotated_types.MinLen: "min_length",
    annotated_types.MaxLen: "max_length",
    annotated_types.MultipleOf: "multiple_of",
}
_NUMBER = ("gt", "ge", "lt", "le", "multiple_of")
_LENGTH = ("min_length", "max_length")
_BOUNDED = {"int": _NUMBER, "float": _NUMBER, "str": _LENGTH, "list": _LENGTH}
_CONFIG = {"extra", "populate_by_name", "title", "frozen", "protected_namespaces"}
# Factories whose value is always the same.
_FACTORIES = (list, dict, set, tuple, str, int, float, bool)
_HOOKS = (
    "__init__",
    "__new__",
    "__get_pydantic_core_schema__",
    "__get_pydantic_json_schema__",
    "model_post_init",
    "model_validate",
    "model_dump",
    "model_json_schema",
)


class Types:
    """The program's own types, gathered while its signatures are written."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}
        self.definitions: dict[str, dict[str, Any]] = {}

    def text(self, annotation: Any, part: str) -> str:
        """The annotation as the program file writes it."""
        if annotation is None or annotation is type(None):
            return "None"
        if annotation is Any:
            return "Any"
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return self._literal(args, part)
        if origin is Annotated:
            return self._annotated(*args, part=part)
        if origin in (Union, types.UnionType):
            return f"Union[{', '.join(self.text(it, part) for it in args)}]"
        origin = list if origin is collections.abc.Sequence else origin
        if origin in _CONTAINERS and args:
            inner = ("..." if it is ... else self.text(it, part) for it in args)
            return f"{_CONTAINERS[origin]}[{', '.join(inner)}]"
        if isinstance(annotation, type) and origin is None:
            return self._class(annotation, part)
        raise _unknown(annotation, part)

    def is_own(self, annotation: Any) -> bool:
        """Whether it names a type of the program's own."""
        args = [it for it in get_args(annotation) if it is not ...]
        if get_origin(annotation) is Literal:
            return False
        if args:
            return any(self.is_own(it) for it in args)
        return isinstance(annotation, type) and annotation in self._classes.values()

    def _class(self, cls: type, part: str) -> str:
        if cls in _SCALARS:
            return cls.__name__
        if cls in _DSPY or issubclass(cls, dspy.Code) and cls.__module__.startswith("dspy."):
            return cls.__name__
        if issubclass(cls, DspyType):
            raise Refusal(
                part,
                f"`{cls.__name__}` is a type with prompts of its own",
                f"use one of DSPy's own types, {RUN_PYTHON}",
            )
        if not issubclass(cls, (enum.Enum, pydantic.BaseModel)):
            raise _unknown(cls, part)
        known = self._classes.setdefault(cls.__name__, cls)
        if known is not cls:
            raise Refusal(part, f"there are two types `{cls.__name__}`", "rename one of them")
        if cls.__name__ not in self.definitions:
            self.definitions[cls.__name__] = {}  # A type may hold itself.
            made = _enum(cls) if issubclass(cls, enum.Enum) else self._model(cls)
            self.definitions[cls.__name__] = made
        return cls.__name__

    def _annotated(self, annotation: Any, *rules: Any, part: str) -> str:
        """A type with bounds, within another."""
        name = "list" if get_origin(annotation) is list else getattr(annotation, "__name__", None)
        written = [_rule(it, _BOUNDED.get(name or "", ()), part) for it in rules]
        return f"Annotated[{self.text(annotation, part)}, {', '.join(written)}]"

    def _literal(self, values: tuple[Any, ...], part: str) -> str:
        for value in values:
            if type(value) not in (str, int, float, bool, type(None)):
                raise Refusal(
                    part,
                    f"the literal {value!r} is no text, number or truth value",
                    "write its value, or an enum as the type",
                )
        return f"Literal[{', '.join(map(repr, values))}]"

    def _model(self, cls: type[pydantic.BaseModel]) -> dict[str, Any]:
        _check_model(cls)
        fields = {name: self._field(cls, name, it) for name, it in cls.model_fields.items()}
        made: dict[str, Any] = {}
        if doc := cls.__dict__.get("__doc__"):
            made["desc"] = inspect.cleandoc(doc)
        made["fields"] = fields
        if (extra := cls.model_config.get("extra")) and extra != "ignore":
            made["extra"] = extra
        if cls.model_config.get("populate_by_name"):
            made["populate_by_name"] = True
        return made

    def _field(self, cls: type, name: str, field: FieldInfo) -> Any:
        part = f"{cls.__name__}.{name}"
        made: dict[str, Any] = {"type": self.text(field.annotation, part)}
        if field.description:
            made["desc"] = field.description
        made.update(_bounds(field, part))
        if alias := _alias(field, part):
            made["alias"] = alias
        made.update(default_of(field, part))
        return made["type"] if len(made) == 1 else made


def default_of(field: FieldInfo, part: str) -> dict[str, Any]:
    """The default of a field, if it has one."""
    if field.default_factory is not None:
        if field.default_factory not in _FACTORIES:
            raise Refusal(
                part,
                "its default is made by a function",
                f"write the value itself as `default`, {RUN_PYTHON}",
            )
        return {"default": plain(field.default_factory(), part)}
    if field.default is PydanticUndefined:
        return {}
    return {"default": plain(field.default, part)}


def _unknown(annotation: Any, part: str) -> Refusal:
    return Refusal(
        part,
        f"the native engine does not know the type `{annotation!r}`",
        f"use Python's and DSPy's own types, enums and pydantic models, {RUN_PYTHON}",
    )


def _enum(cls: type[enum.Enum]) -> dict[str, Any]:
    if issubclass(cls, enum.Flag) or "_missing_" in vars(cls):
        raise Refusal(
            cls.__name__,
            "it decides itself which values it has",
            f"write a plain enum, {RUN_PYTHON}",
        )
    members = {it.name: plain(it.value, f"{cls.__name__}.{it.name}") for it in cls}
    made: dict[str, Any] = {"enum": members}
    if base := _base(cls):
        made["base"] = base
    if doc := cls.__dict__.get("__doc__"):
        made["desc"] = inspect.cleandoc(doc)
    return made


def _base(cls: type[enum.Enum]) -> str | None:
    """What the members are besides; with the name of the class that prints them as their values."""
    base = next((it for it in (int, str, float) if issubclass(cls, it)), None)
    if base in (int, str) and all(str(it) == str(it.value) for it in cls):
        return f"{base.__name__.title()}Enum"
    return base.__name__ if base else None


def _check_model(cls: type[pydantic.BaseModel]) -> None:
    own = [it for it in cls.__mro__ if not it.__module__.startswith(("pydantic", "builtins"))]
    decorators = cls.__pydantic_decorators__
    kinds = [it.name for it in dataclasses.fields(decorators)]
    code = [it for it in kinds if it != "build_metadata" and getattr(decorators, it)]
    code += [hook for hook in _HOOKS for it in own if callable(vars(it).get(hook))]
    # pydantic itself gives a model with private attributes this one.
    if "model_post_init" in code and cls.__private_attributes__:
        code.remove("model_post_init")
    if code:
        raise Refusal(
            cls.__name__,
            f"it runs code of its own ({', '.join(code).replace('_', ' ').strip()})",
            f"take it out and check the outputs afterwards, {RUN_PYTHON}",
        )
    if unknown := sorted(set(cls.model_config) - _CONFIG):
        raise Refusal(
            cls.__name__,
            f"the native engine does not know its setting `{unknown[0]}`",
            f"take it out of `model_config`, {RUN_PYTHON}",
        )
    if typing.get_origin(cls) or cls.__pydantic_generic_metadata__.get("args"):
        raise Refusal(cls.__name__, "it is a generic model", "write a model of its own for it")
    if cls.__pydantic_root_model__:
        raise Refusal(cls.__name__, "it is a root model", "use the type inside it")


def _bounds(field: FieldInfo, part: str) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for it in field.metadata:
        name = _BOUNDS.get(type(it))
        if name is None:
            raise Refusal(
                part,
                f"the native engine does not know the rule {it!r}",
                f"take it out, {RUN_PYTHON}",
            )
        bounds[name] = plain(getattr(it, name), part)
    if field.discriminator is not None:
        raise Refusal(part, "it has a discriminator", f"use a plain union, {RUN_PYTHON}")
    return bounds


def _rule(rule: Any, allowed: tuple[str, ...], part: str) -> str:
    """A rule of an `Annotated`, as the program file writes it."""
    parts = rule.metadata if isinstance(rule, FieldInfo) else [rule]
    names = [_BOUNDS.get(type(it)) for it in parts]
    bounds = {name: getattr(it, name) for name, it in zip(names, parts) if name in allowed}
    is_plain = all(type(it) in (int, float) and abs(it) < 2**63 for it in bounds.values())
    if isinstance(rule, FieldInfo):
        name = "Field"
        is_plain &= str(rule) == f"annotation=NoneType required=True metadata={rule.metadata}"
    else:
        name = type(rule).__name__
    if not bounds or len(bounds) < len(parts) or not is_plain:
        raise Refusal(
            part,
            f"the native engine does not know the rule {rule!r} there",
            f"use the bounds of numbers, texts and lists alone, {RUN_PYTHON}",
        )
    return f"{name}({', '.join(f'{key}={it!r}' for key, it in bounds.items())})"


def _alias(field: FieldInfo, part: str) -> str | None:
    names = {field.alias, field.validation_alias, field.serialization_alias}
    if len(names) > 1 or not all(it is None or isinstance(it, str) for it in names):
        raise Refusal(
            part,
            "it is read by one name and written by another",
            f"give it one `alias`, {RUN_PYTHON}",
        )
    return field.alias
