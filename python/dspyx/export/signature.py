"""Signatures as the program file writes them."""

from __future__ import annotations

import re
from typing import Any

import pydantic
from dspy.signatures.field import PYDANTIC_CONSTRAINT_MAP
from dspy.utils.constants import IS_TYPE_UNDEFINED
from pydantic.fields import FieldInfo

from .annotation import Types, default_of
from .refusal import Refusal
from .value import plain
from .yaml import Flow


def entry(signature: Any, types: Types, *, without: str | None = None) -> dict[str, Any]:
    """The signature's entry of the file. `without` is the output that the module adds itself."""
    fields = {name: it for name, it in signature.fields.items() if name != without}
    sides: dict[str, dict[str, Any]] = {"inputs": {}, "outputs": {}}
    for name, field in fields.items():
        is_input = field.json_schema_extra["__dspy_field_type"] == "input"
        sides["inputs" if is_input else "outputs"][name] = _field(name, field, types, is_input)
    return {"instructions": signature.instructions, **sides}


def demos(predictor: Any) -> list[dict[str, Any]]:
    """The demos that DSPy shows: what is no field of the signature it leaves out, and so do we."""
    shown = []
    for number, demo in enumerate(predictor.demos, 1):
        fields = predictor.signature.fields
        values = {name: demo[name] for name in fields if name in demo}
        inputs = predictor.signature.input_fields.keys() & values.keys()
        outputs = predictor.signature.output_fields.keys() & values.keys()
        if inputs and outputs:
            part = f"demo {number}"
            shown.append({name: plain(it, f"{part}, {name}") for name, it in values.items()})
    return shown


def _field(name: str, field: FieldInfo, types: Types, is_input: bool) -> Any:
    extra: dict[str, Any] = field.json_schema_extra  # type: ignore[assignment]
    made: dict[str, Any] = {}
    if not extra.get(IS_TYPE_UNDEFINED):
        made["type"] = types.text(field.annotation, f"the field `{name}`")
    if (desc := extra.get("desc")) and desc != f"${{{name}}}":
        made["desc"] = desc
    made.update(_bounds(name, extra.get("constraints")))
    made.update(default_of(field, f"the field `{name}`"))
    if not is_input and types.is_own(field.annotation):
        annotation: Any = field.annotation
        made["json_schema"] = Flow(pydantic.TypeAdapter(annotation).json_schema())
    return made["type"] if made.keys() == {"type"} else made or None


def _bounds(name: str, text: str | None) -> dict[str, Any]:
    """The bounds that DSPy made this text of, in its order."""
    if not text:
        return {}
    keys = {words: key for key, words in PYDANTIC_CONSTRAINT_MAP.items()}
    words = "|".join(map(re.escape, keys))
    found = re.findall(rf"(?:^|, )({words})(.*?)(?=, (?:{words})|$)", text)
    bounds = {keys[word]: _bound(value) for word, value in found}
    if ", ".join(f"{PYDANTIC_CONSTRAINT_MAP[k]}{v}" for k, v in bounds.items()) != text:
        raise Refusal(f"the field `{name}`", f"its constraints are `{text}`", "use numbers there")
    return bounds


def _bound(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
