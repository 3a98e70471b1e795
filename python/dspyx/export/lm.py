"""Language models as the program file names them: never with a key."""

from __future__ import annotations

import re
from typing import Any

import dspy

from .refusal import RUN_PYTHON, Refusal
from .report import Report
from .value import plain

_KEYS = {"model", "temperature", "max_tokens", "top_p", "stop", "seed", "n", "rollout_id"}
# How a client reaches the provider; ours has settings of its own.
_CLIENT = {"timeout", "num_retries", "max_retries", "cache", "caching", "api_version"}
_SECRET = re.compile(r"key|token(?!s)|secret|password|authorization|credential", re.I)


def entry(lm: Any, part: str, report: Report) -> dict[str, Any]:
    """The `lm` of a program or of a predictor."""
    if type(lm) is not dspy.LM:
        raise Refusal(
            part,
            f"its language model is a `{type(lm).__name__}`",
            f"use a plain dspy.LM: the gateway speaks to any `api_base`; {RUN_PYTHON}",
        )
    if not isinstance(lm._engine_spec, str) or lm.model_type != "chat":
        raise Refusal(
            part,
            "its language model has an engine of its own, or is not asked by chat",
            f"use dspy.LM(model) with its defaults, {RUN_PYTHON}",
        )
    if lm.callbacks:
        report.warn(f"{part}: callbacks of the language model are not called by the native engine")
    return {"model": lm.model, **settings(lm.kwargs, part, report)}


def settings(kwargs: dict[str, Any], part: str, report: Report) -> dict[str, Any]:
    """Settings of calls, of a model or a predictor, as the file writes them."""
    made: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in kwargs.items():
        name = {"max_completion_tokens": "max_tokens", "base_url": "api_base"}.get(name, name)
        if value is None:
            continue
        if name == "num_generations":
            name = "n"
        if _SECRET.search(name):
            report.warn(
                f"{part}: `{name}` is not written; the key comes from the worker's environment, "
                "as OPENAI_API_KEY, or from the variable that `lm.api_key_env` names"
            )
        elif name in ("extra_headers", "headers", "extra_query", "prompt_cache"):
            raise Refusal(
                part,
                f"its language model has `{name}`",
                f"let a proxy at `api_base` add them, {RUN_PYTHON}",
            )
        elif name in _CLIENT:
            report.note(f"{part}: `{name}` is left out; the worker has such settings of its own")
        elif name in _KEYS or name == "api_base":
            made[name] = plain(value, f"{part}, {name}")
        else:
            extra[name] = plain(value, f"{part}, {name}")
    return {**made, "extra": extra} if extra else made
