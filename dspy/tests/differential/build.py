"""The neutral form as live Python objects, and back.

A case is plain JSON, so that either side can cut it down and ask again. What JSON cannot say is
tagged: `{"$tuple": [..]}`, `{"$enum": "Mood", "name": ..}`, `{"$model": "Person", "value": {..}}`.
"""
import datetime
import decimal
import enum
import inspect
import json
import types
import typing
import uuid
from typing import Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin

import annotated_types
import dspy
import pydantic
import pydantic_core
from dspy.adapters.types.base_type import Type as DspyType
from dspy.adapters.utils import get_annotation_name
from dspy.utils.constants import IS_TYPE_UNDEFINED

import mutate
import own as own_types
from kinds import RULES, kinds

PLAIN = {"str": str, "int": int, "float": float, "bool": bool, "none": type(None), "any": Any,
         "bytes": bytes}
CLASSES = {f"{it.__module__}.{it.__qualname__}": it for it in (
    datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal,
    uuid.UUID)}


BASES = {"str": str, "int": int, "float": float}
# What these print of an object is not its JSON.
TELLS_TYPES = ("BAMLAdapter", "TwoStepAdapter")


class World:
    """The classes of one case."""

    def __init__(self, definitions):
        self.classes = {}
        for name, definition in definitions.items():
            make = self.enum if definition["kind"] == "enum" else self.model
            self.classes[name] = make(name, definition)

    def enum(self, name, definition):
        members = [(it["name"], it["value"]) for it in definition["members"]]
        base = definition.get("base")
        if base in ("StrEnum", "IntEnum"):
            made = getattr(enum, base)(name, members)
        else:
            made = enum.Enum(name, members, type=BASES.get(base))
        made.__doc__ = definition.get("doc")
        return made

    def model(self, name, definition):
        fields = {}
        for it in definition["fields"]:
            options = {key: it[key] for key in ("alias", "description") if key in it}
            options |= it.get("bounds", {})
            if "default" in it:
                options["default"] = self.live(it["default"])
            fields[it["name"]] = (self.type(it["type"], name), pydantic.Field(**options))
        model = pydantic.create_model(
            name, __config__=pydantic.ConfigDict(**definition.get("config", {})),
            __doc__=definition.get("doc"), __module__=__name__, **fields)
        model.model_rebuild(_types_namespace={name: model, **self.classes})
        return model

    def type(self, neutral, own=None):
        """The annotation; `own` is the model being made, which may name itself."""
        inner = lambda key: self.type(neutral[key], own)
        args = lambda: tuple(self.type(it, own) for it in neutral["args"])
        kind = neutral["kind"]
        if kind in PLAIN:
            return PLAIN[kind]
        if kind == "ref":
            return ForwardRef(own) if neutral["name"] == own else self.classes[neutral["name"]]
        if kind == "class":
            return CLASSES[neutral["name"]]
        if kind == "dspy":
            return own_types.class_of(neutral["name"])
        if kind == "list":
            return list[inner("item")] if "item" in neutral else list
        if kind == "dict":
            return dict[inner("key"), inner("value")] if "key" in neutral else dict
        if kind in ("set", "frozenset"):
            made = {"set": set, "frozenset": frozenset}[kind]
            return made[inner("item")] if "item" in neutral else made
        if kind == "tuple" and not neutral.get("args"):
            return tuple
        if kind == "tuple":
            if neutral["args"][-1] == "...":
                return tuple[self.type(neutral["args"][0], own), ...]
            return tuple[args()]
        if kind == "literal":
            return Literal[tuple(neutral["values"])]
        if kind == "annotated":
            return Annotated[(inner("item"), *(rule(**it) for it in neutral["rules"]))]
        if kind == "union":
            return Union[args()]
        raise ValueError(f"no type {neutral}")

    def live(self, value):
        """A tagged value as the Python object that it stands for."""
        if isinstance(value, list):
            return [self.live(it) for it in value]
        if not isinstance(value, dict):
            return value
        if "$enum" in value:
            return self.classes[value["$enum"]][value["name"]]
        if "$model" in value:
            given = {key: self.live(it) for key, it in value["value"].items()}
            return self.classes[value["$model"]].model_validate(given, by_name=True, by_alias=True)
        if "$dspy" in value:
            return own_types.live(value["$dspy"], self.live(value["value"]))
        if "$tuple" in value:
            return tuple(self.live(it) for it in value["$tuple"])
        if "$set" in value:
            return {self.live(it) for it in value["$set"]}
        if "$frozenset" in value:
            return frozenset(self.live(it) for it in value["$frozenset"])
        return {key: self.live(it) for key, it in value.items()}

    def given(self, case, signature, values):
        """Values as Python has them, and in JSON. Where JSON alone does not tell what an object is,
        it is what its type makes of JSON, as of a request's."""
        tells = {"class", "bytes", *({"ref"} if case["adapter"] in TELLS_TYPES else ())}
        given, shown = {}, {}
        for name, value in values.items():
            field = signature.fields.get(name)
            found = kinds(neutral_type(field.annotation, {})) if field is not None else set()
            if found & tells:
                shown[name] = mutate.plain(value)
                reader = pydantic.TypeAdapter(field.annotation)
                made = reader.validate_python(shown[name], by_alias=True, by_name=True)
                given[name] = kept(made, shown[name])
                if "ref" in found - tells:
                    # As the other adapters show a model, so it is given.
                    shown[name] = keyed(tagged(given[name]))
            else:
                given[name] = self.live(value)
                shown[name] = keyed(tagged(given[name]))
        return given, shown

    def signature(self, neutral):
        fields = {}
        for it in neutral["fields"]:
            options = {key: it[key] for key in ("desc", "prefix") if it.get(key) is not None}
            options |= it.get("bounds", {})
            if "default" in it:
                options["default"] = self.live(it["default"])
            if it.get("type_undefined"):
                options[IS_TYPE_UNDEFINED] = True
            make = dspy.InputField if it["role"] == "input" else dspy.OutputField
            fields[it["name"]] = (self.type(it["type"]), make(**options))
        made = dspy.make_signature(fields, neutral.get("instructions"), neutral["name"])
        return made


def rule(name, bounds):
    """A rule of an `Annotated`: pydantic's `Field`, or one of `annotated_types`."""
    return (pydantic.Field if name == "Field" else getattr(annotated_types, name))(**bounds)


def neutral_rule(it):
    """The rule as `rule` takes it; none of another kind."""
    parts = it.metadata if isinstance(it, pydantic.fields.FieldInfo) else [it]
    if not parts or not all(type(part).__name__ in RULES for part in parts):
        return None
    bounds = {RULES[type(part).__name__]: getattr(part, RULES[type(part).__name__]) for part in parts}
    return {"name": type(it).__name__.removesuffix("Info"), "bounds": bounds}


def hashable(tagged_key):
    """A tagged key as a key again."""
    if isinstance(tagged_key, dict):
        tagged_key = tagged_key.get("value", next(iter(tagged_key.values())))
    return tuple(tagged_key) if isinstance(tagged_key, list) else tagged_key


def keyed(value):
    """A tagged value with the keys that pydantic writes as JSON."""
    if isinstance(value, list):
        return [keyed(it) for it in value]
    if not isinstance(value, dict):
        return value
    if "$dict" in value:
        pairs = [(pydantic_core.to_jsonable_python({hashable(key): None}), it) for key, it in value["$dict"]]
        return {next(iter(key)): keyed(it) for key, it in pairs}
    return {key: keyed(it) for key, it in value.items()}


def kept(made, shown):
    """What a type makes of JSON, with numbers that no model holds as they were given: they stand for
    no object."""
    numbers = (bool, int, float)
    if isinstance(made, numbers) and isinstance(shown, numbers) and not isinstance(made, enum.Enum):
        return shown
    if isinstance(made, (list, tuple)) and isinstance(shown, list):
        return type(made)(kept(*pair) for pair in zip(made, shown))
    if isinstance(made, (set, frozenset)) and len(made) > 1:
        raise ValueError("the package writes a set in the order of its hashes, which is another each time")
    if isinstance(made, dict) and isinstance(shown, dict):
        return {key: kept(it, shown[key]) if key in shown else it for key, it in made.items()}
    return made


def neutral_type(it, definitions):
    """An annotation in the neutral form; own types go into `definitions`."""
    inner = lambda other: neutral_type(other, definitions)
    origin, args = get_origin(it), get_args(it)
    named = {python: name for name, python in PLAIN.items()}
    if it in (list, dict, set, frozenset, tuple):
        return {"kind": it.__name__}
    if origin is None and isinstance(it, type) or it is Any:
        if it in named:
            return {"kind": named[it]}
        if issubclass(it, DspyType) or it.__module__.startswith("dspy."):
            return {"kind": "dspy", "name": it.__name__}
        if issubclass(it, (enum.Enum, pydantic.BaseModel)):
            define(it, definitions)
            return {"kind": "ref", "name": it.__name__}
        return {"kind": "class", "name": f"{it.__module__}.{it.__qualname__}"}
    if origin is Literal:
        return {"kind": "literal", "values": list(args)}
    if origin in (Union, types.UnionType):
        return {"kind": "union", "args": [inner(arg) for arg in args]}
    if origin is tuple:
        return {"kind": "tuple", "args": ["..." if arg is ... else inner(arg) for arg in args]}
    if origin is dict:
        return {"kind": "dict", "key": inner(args[0]), "value": inner(args[1])}
    if origin is Annotated:
        rules = [neutral_rule(rule) for rule in args[1:]]
        return {"kind": "annotated", "item": inner(args[0]), "rules": rules} if all(rules) else inner(args[0])
    return {"kind": origin.__name__, "item": inner(args[0])}


def define(it, definitions):
    name = it.__name__
    if name in definitions:
        return
    if issubclass(it, enum.Enum):
        members = [{"name": member.name, "value": member.value} for member in it]
        definitions[name] = {"kind": "enum", "members": members}
        own = [base for base in ("StrEnum", "IntEnum") if issubclass(it, getattr(enum, base))]
        if bases := own + [base for base, python in BASES.items() if issubclass(it, python)]:
            definitions[name]["base"] = bases[0]
        if doc := it.__dict__.get("__doc__"):
            definitions[name]["doc"] = inspect.cleandoc(doc)
        return
    definitions[name] = None
    fields = []
    for field_name, field in it.model_fields.items():
        made = {"name": field_name, "type": neutral_type(field.annotation, definitions),
                "required": field.is_required()}
        if field.description is not None:
            made["description"] = field.description
        if field.alias:
            made["alias"] = field.alias
        if not field.is_required():
            made["default"] = tagged(field.get_default(call_default_factory=True))
        if field.metadata:
            made["constraints"] = [repr(each) for each in field.metadata]
        fields.append(made)
    config = {key: str(value) for key, value in it.model_config.items()}
    doc = inspect.getdoc(it) if it.__dict__.get("__doc__") else None
    definitions[name] = {"kind": "model", "doc": doc, "config": config, "fields": fields}


def neutral_signature(signature):
    """The signature as the recorder of the golden cases writes it."""
    definitions, fields = {}, []
    for name, field in signature.fields.items():
        extra = field.json_schema_extra or {}
        made = {"name": name, "role": extra["__dspy_field_type"],
                "type": neutral_type(field.annotation, definitions),
                "annotation_name": get_annotation_name(field.annotation),
                "desc": extra.get("desc"), "prefix": extra.get("prefix")}
        if extra.get("constraints"):
            made["constraints"] = extra["constraints"]
        if extra.get(IS_TYPE_UNDEFINED):
            made["type_undefined"] = True
        if not field.is_required():
            made["default"] = tagged(field.get_default(call_default_factory=True))
        if extra["__dspy_field_type"] == "output" and field.annotation is not str:
            try:
                made["json_schema"] = pydantic.TypeAdapter(field.annotation).json_schema()
            except pydantic.errors.PydanticUserError:
                pass
        fields.append(made)
    return {"name": signature.__name__, "instructions": signature.instructions, "fields": fields,
            "types": definitions}


def tagged(value):
    """A value with tags where JSON alone would lose its type."""
    if isinstance(value, enum.Enum):
        return {"$enum": type(value).__name__, "name": value.name, "value": tagged(value.value)}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -2**63 <= value < 2**63 else {"$int": str(value)}
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")
        return value if finite else {"$float": repr(value)}
    if isinstance(value, dspy.Tool):
        return {"$model": "Tool", "value": {"name": value.name, "desc": value.desc, "args": value.args}}
    if isinstance(value, pydantic.BaseModel):
        own = {name: getattr(value, name) for name in type(value).model_fields}
        items = (own | (value.model_extra or {})).items()
        made = {"$model": type(value).__name__, "value": {key: tagged(it) for key, it in items}}
        # As an output: what `Prediction.toDict()` gives.
        is_own = isinstance(value, DspyType) and not isinstance(value, (dspy.ToolCalls, dspy.ToolCalls.ToolCall))
        return made | ({"shown": value.model_dump()} if is_own else {})
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return {"$" + type(value).__name__: value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {"$timedelta_s": value.total_seconds()}
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return {"$" + type(value).__name__.lower(): str(value)}
    if isinstance(value, bytes):
        return {"$bytes": value.decode("latin1")}
    if isinstance(value, tuple):
        return {"$tuple": [tagged(it) for it in value]}
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted((tagged(it) for it in value), key=json.dumps)}
    if isinstance(value, list):
        return [tagged(it) for it in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: tagged(it) for key, it in value.items()}
        # A float as Python writes it, which JSON's writers do not.
        keys = [repr(key) if type(key) is float else tagged(key) for key in value]
        return {"$dict": [[key, tagged(it)] for key, it in zip(keys, value.values())]}
    return {"$repr": repr(value), "$type": type(value).__name__}
