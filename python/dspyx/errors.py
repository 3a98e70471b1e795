"""What can be raised, one class for each thing that a caller can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import ExecutionResult


class DspyxError(Exception):
    """Everything that this package raises by itself."""


class ServerUnavailable(DspyxError, ConnectionError):
    """The server cannot be reached, or stopped; try again, or look after it."""


class AccessDenied(DspyxError, PermissionError):
    """The token is missing, not valid any more, or does not allow this."""


class RequestError(DspyxError):
    """The server refuses a request; `status` and `problem` (RFC 9457) say why."""

    def __init__(self, message: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem

    def __reduce__(self) -> Any:
        return type(self), (str(self), self.status, self.problem)


class ExecutionError(DspyxError):
    """An execution that gave no outputs; raised by `ExecutionResult.raise_for_error`."""

    def __init__(self, result: ExecutionResult) -> None:
        super().__init__(result.error or "the execution gave no outputs")
        self.result = result

    def __reduce__(self) -> Any:
        return type(self), (self.result,)


class InvalidInputs(ExecutionError, ValueError):
    """Inputs are missing, unknown or of a wrong type."""


class ProgramNotFound(ExecutionError, LookupError):
    """There is no program of that id."""


class ProgramError(ExecutionError):
    """The program's own code failed."""


class ParseError(ExecutionError):
    """What the model replied could not be read as the outputs."""


class LMError(ExecutionError):
    """The model could not be asked."""


class ExecutionTimeout(ExecutionError, TimeoutError):
    """It took too long."""


class WorkerLost(ExecutionError):
    """It took its worker with it, again and again."""


class Cancelled(ExecutionError):
    """It was called off."""


class BudgetExceeded(ExecutionError):
    """What it may spend on models is spent."""


# By the record's `error_kind`.
BY_KIND: dict[str, type[ExecutionError]] = {
    "validation": InvalidInputs,
    "program_not_found": ProgramNotFound,
    "program_error": ProgramError,
    "parse_error": ParseError,
    "lm_error": LMError,
    "timeout": ExecutionTimeout,
    "worker_lost": WorkerLost,
    "cancelled": Cancelled,
    "budget_exceeded": BudgetExceeded,
}
