"""What an execution came to."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from .errors import BY_KIND, ExecutionError


class ExecutionMode(str, enum.Enum):
    """How much of a program is run."""

    NORMAL = "normal"
    """All of it."""
    DRY_RUN = "dry_run"
    """Nothing: only the inputs are checked."""
    DEBUG = "debug"
    """All of it, and every step is kept in `metadata["debug_trace"]`."""


@dataclass
class ExecutionResult:
    """What an execution came to. It is not raised: look at `success`, or `raise_for_error()`."""

    success: bool
    """Whether there are outputs; of a dry run, whether the inputs are valid."""
    outputs: dict[str, Any] | None = None
    """What the program gave."""
    error: str | None = None
    """Why it gave nothing."""
    execution_time: float = 0.0
    """How many seconds the last attempt took."""
    program_name: str | None = None
    """The program that was run."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """`mode`, `cache_hit`, `usage`, `trace_id`, …; of a debug run `debug_trace`."""
    error_kind: str | None = None
    """What kind of error it is, as `timeout`; see `dspyx.errors`."""
    execution_id: str | None = None
    """The id of its record at the server; none if it was refused."""

    @classmethod
    def of_record(cls, record: dict[str, Any], program_name: str | None = None) -> ExecutionResult:
        """The result that an execution record tells."""
        return cls(
            success=bool(record["success"]),
            outputs=record["outputs"],
            error=record["error"],
            execution_time=record["execution_time"] or 0.0,
            program_name=program_name or record["program_name"],
            metadata=record["metadata"],
            error_kind=record["error_kind"],
            execution_id=record["execution_id"],
        )

    def raise_for_error(self) -> ExecutionResult:
        """Itself if it succeeded; else raises the `ExecutionError` of its kind."""
        if self.success:
            return self
        raise BY_KIND.get(self.error_kind or "", ExecutionError)(self)
