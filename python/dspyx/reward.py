"""Rewards for `dspy.BestOfN` that the native engine can run too, because they are declared.

    dspy.BestOfN(qa, N=3, reward_fn=dspyx.Regex("answer", r"^\\d+$"), threshold=1.0)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Regex:
    """1 if a pattern is found in an output, else 0."""

    field: str
    pattern: str

    def __call__(self, _inputs: dict[str, Any], prediction: Any) -> float:
        return 1.0 if re.search(self.pattern, str(prediction[self.field])) else 0.0

    def __dspyx_reward__(self) -> dict[str, Any]:
        return {"regex": {"field": self.field, "pattern": self.pattern}}
