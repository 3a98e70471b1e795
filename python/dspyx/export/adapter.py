"""Adapters as the program file names them."""

from __future__ import annotations

from typing import Any

import dspy
from dspy.adapters.baml_adapter import BAMLAdapter
from dspy.adapters.base import _DEFAULT_NATIVE_RESPONSE_TYPES

from . import lm
from .refusal import RUN_PYTHON, Refusal
from .report import Report

_NAMES = {
    dspy.ChatAdapter: "chat",
    dspy.JSONAdapter: "json",
    dspy.XMLAdapter: "xml",
    BAMLAdapter: "baml",
    dspy.TwoStepAdapter: "two_step",
}
_OPTIONS = {
    "use_json_adapter_fallback": "json_fallback",
    "use_native_function_calling": "native_function_calling",
    "parallel_tool_calls": "parallel_tool_calls",
}


def entry(adapter: Any, report: Report) -> Any:
    """The `adapter` of a signature; nothing for DSPy's default one."""
    if adapter is None:
        return None
    name = _NAMES.get(type(adapter))
    if name is None:
        raise Refusal(
            "the adapter",
            f"`{type(adapter).__name__}` is not one of DSPy's own",
            f"use one of {', '.join(it.__name__ for it in _NAMES)}, {RUN_PYTHON}",
        )
    if adapter.callbacks:
        report.warn("callbacks of the adapter are not called by the native engine")
    if adapter.native_response_types != _DEFAULT_NATIVE_RESPONSE_TYPES:
        raise Refusal("the adapter", "it has `native_response_types`", f"leave it, {RUN_PYTHON}")
    made = _differences(adapter)
    if name == "two_step":
        made["extraction_model"] = _extraction(adapter.extraction_model, report)
    if not made:
        return None if name == "chat" else name
    return {"type": name, **made}


def _differences(adapter: Any) -> dict[str, Any]:
    """The options that differ from the class's defaults."""
    if isinstance(adapter, dspy.TwoStepAdapter):
        usual: Any = dspy.TwoStepAdapter(adapter.extraction_model)
    else:
        usual = type(adapter)()
    here, there = vars(adapter), vars(usual)
    return {key: here[it] for it, key in _OPTIONS.items() if it in here and here[it] != there[it]}


def _extraction(model: Any, report: Report) -> Any:
    made = lm.entry(model, "the adapter", report)
    return made if len(made) > 1 else made["model"]
