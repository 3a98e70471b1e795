"""dspyx: runs DSPy programs as durable jobs. The Python side of it.

    from dspyx import DSPyPipelineExecutor

    with DSPyPipelineExecutor() as executor:
        result = executor.execute(model_id="summarizer-v2", inputs={"text": "…"})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .reward import Expression, Regex

if TYPE_CHECKING:
    from .errors import (
        AccessDenied,
        BudgetExceeded,
        Cancelled,
        DspyxError,
        ExecutionError,
        ExecutionTimeout,
        InvalidInputs,
        LMError,
        ParseError,
        ProgramError,
        ProgramNotFound,
        RequestError,
        ServerUnavailable,
        WorkerLost,
    )
    from .executor import DSPyPipelineExecutor
    from .future import ExecutionFuture, as_completed
    from .loader import DSPyModelLoader, LoadedProgram
    from .result import ExecutionMode, ExecutionResult

# Only what is asked for is imported: the exporter and the runner need none of it.
_HOMES = {
    "AccessDenied": "errors",
    "BudgetExceeded": "errors",
    "Cancelled": "errors",
    "DspyxError": "errors",
    "ExecutionError": "errors",
    "ExecutionTimeout": "errors",
    "InvalidInputs": "errors",
    "LMError": "errors",
    "ParseError": "errors",
    "ProgramError": "errors",
    "ProgramNotFound": "errors",
    "RequestError": "errors",
    "ServerUnavailable": "errors",
    "WorkerLost": "errors",
    "DSPyPipelineExecutor": "executor",
    "ExecutionFuture": "future",
    "as_completed": "future",
    "DSPyModelLoader": "loader",
    "LoadedProgram": "loader",
    "ExecutionMode": "result",
    "ExecutionResult": "result",
}

__all__ = [
    "AccessDenied",
    "BudgetExceeded",
    "Cancelled",
    "DSPyModelLoader",
    "DSPyPipelineExecutor",
    "DspyxError",
    "ExecutionError",
    "ExecutionFuture",
    "ExecutionMode",
    "ExecutionResult",
    "ExecutionTimeout",
    "Expression",
    "InvalidInputs",
    "LMError",
    "LoadedProgram",
    "ParseError",
    "ProgramError",
    "ProgramNotFound",
    "Regex",
    "RequestError",
    "ServerUnavailable",
    "WorkerLost",
    "as_completed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `dspyx` has no `{name}`")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
