"""Rewards that are declared, not coded: `dspyx.Regex`, `dspyx.Expression`."""

from __future__ import annotations

from typing import Any

from .refusal import RUN_PYTHON, Refusal


def declared(reward_fn: Any) -> dict[str, Any]:
    """The reward of a `dspy.BestOfN`, as the program file writes it."""
    # DSPy wraps it, so that it is not taken for a part of the program.
    wrapped = [it.cell_contents for it in reward_fn.__closure__ or ()]
    for reward in wrapped:
        if write := getattr(type(reward), "__dspyx_reward__", None):
            return write(reward)
    raise Refusal(
        "the reward",
        "it is Python",
        "declare it: `reward_fn=dspyx.Regex('answer', r'\\d+')`, or "
        f"`dspyx.Expression('len(answer) < 20')`; {RUN_PYTHON}",
    )
