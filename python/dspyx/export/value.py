"""Values as JSON, as the program file holds them."""

from __future__ import annotations

import json
import math
from typing import Any

import pydantic_core

from .refusal import Refusal


def plain(value: Any, part: str) -> Any:
    """The JSON form of a value: models as objects, enums as their values, dates as text."""
    try:
        made = pydantic_core.to_jsonable_python(value, bytes_mode="utf8")
        made = json.loads(json.dumps(made, ensure_ascii=False, allow_nan=False))
    except (ValueError, pydantic_core.PydanticSerializationError) as error:
        raise Refusal(part, f"{value!r} is no JSON ({error})", "write a value that is") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(part, f"{value!r} is no finite number", "write a number or a text")
    return made
