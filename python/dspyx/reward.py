"""Rewards for `dspy.BestOfN` that the native engine can run too, because they are declared.

    dspy.BestOfN(qa, N=3, reward_fn=dspyx.Regex("answer", r"^\\d+$"), threshold=1.0)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import CodeType
from typing import Any


_FUNCTIONS = {
    it.__name__: it for it in (len, min, max, sum, abs, round, int, float, str, bool, any, all)
} | {"lower": str.lower, "upper": str.upper}


@dataclass(frozen=True)
class Expression:
    """What an expression over inputs and outputs is worth: `len(answer) < 20 and score >= 8`.

    It is a small part of Python, which `dspyx programs check` knows: values, fields, arithmetic,
    comparisons, `and`, `or`, `not`, and functions such as `len` and `lower`.
    """

    text: str
    _code: CodeType = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_code", compile(self.text.strip(), "the expression", "eval"))

    def __call__(self, inputs: dict[str, Any], prediction: Any) -> float:
        # The text is of who wrote the program around it: it can do what that can.
        values = {"__builtins__": {}, **_FUNCTIONS, **inputs, **dict(prediction.items())}
        return float(eval(self._code, values))

    def __dspyx_reward__(self) -> dict[str, Any]:
        return {"expression": self.text}


@dataclass(frozen=True)
class Regex:
    """1 if a pattern is found in an output, else 0."""

    field: str
    pattern: str

    def __call__(self, _inputs: dict[str, Any], prediction: Any) -> float:
        return 1.0 if re.search(self.pattern, str(prediction[self.field])) else 0.0

    def __dspyx_reward__(self) -> dict[str, Any]:
        return {"regex": {"field": self.field, "pattern": self.pattern}}
