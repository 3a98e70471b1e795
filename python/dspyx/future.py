"""Executions in the background: submit now, look later."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from . import calls
from .calls import Program
from .result import ExecutionResult
from .transport import Transport

# How many executions are asked after at once, and how long each waits while others wait too.
WATCHERS_MAX = 32
TURN_SECONDS = 0.5


class ExecutionFuture:
    """An execution that was submitted. It runs at the server, whatever becomes of this object."""

    def __init__(
        self, transport: Transport, program: Program, record: dict[str, Any] | ExecutionResult
    ) -> None:
        self._transport, self._program = transport, program
        self._result: ExecutionResult | None = None
        if isinstance(record, ExecutionResult):
            self._result, self.execution_id = record, record.execution_id
        else:
            self.execution_id = record["execution_id"]
            if calls.is_over(record):
                self._result = ExecutionResult.of_record(record, program.name)

    def __repr__(self) -> str:
        state = "pending" if self._result is None else "done"
        return f"<ExecutionFuture {self._program.name} {self.execution_id} {state}>"

    def done(self) -> bool:
        """Whether it has ended."""
        return self._look(0) is not None

    def result(self, timeout: float | None = None) -> ExecutionResult:
        """What it came to. Raises TimeoutError when it has not ended after so many seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = calls.WAIT_SECONDS if until is None else max(until - time.monotonic(), 0)
            result = self._look(min(left, calls.WAIT_SECONDS))
            if result is not None:
                return result
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{self!r} has not ended after {timeout:g} seconds")

    def cancel(self) -> bool:
        """Calls it off; false if it has ended already."""
        if self._result is not None or self.execution_id is None:
            return False
        return self._transport.run(calls.cancel(self.execution_id))

    def _look(self, wait: float) -> ExecutionResult | None:
        """The result, if there is one within so many seconds."""
        if self._result is None and self.execution_id is not None:
            record = self._transport.run(calls.look(self.execution_id, wait))
            if calls.is_over(record):
                self._result = ExecutionResult.of_record(record, self._program.name)
        return self._result


def as_completed(
    futures: Iterable[ExecutionFuture], timeout: float | None = None
) -> Iterator[ExecutionFuture]:
    """The futures, each when it has ended. Raises TimeoutError after so many seconds."""
    pending = deque(futures)
    left = len(pending)
    ended: queue.SimpleQueue[ExecutionFuture | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    watchers = min(left, WATCHERS_MAX)
    wait = calls.WAIT_SECONDS if left <= watchers else TURN_SECONDS

    def watch() -> None:
        while not stop.is_set():
            try:
                future = pending.popleft()
            except IndexError:
                return
            try:
                is_over = future._look(wait) is not None
            except BaseException as error:
                ended.put(error)
                return
            if is_over:
                ended.put(future)
            else:
                pending.append(future)

    for number in range(watchers):
        threading.Thread(target=watch, name=f"dspyx-watch-{number}", daemon=True).start()
    until = None if timeout is None else time.monotonic() + timeout
    try:
        while left:
            try:
                seconds = None if until is None else max(until - time.monotonic(), 0)
                future = ended.get(timeout=seconds)
            except queue.Empty:
                raise TimeoutError(f"{left} executions have not ended") from None
            if isinstance(future, BaseException):
                raise future
            left -= 1
            yield future
    finally:
        stop.set()
