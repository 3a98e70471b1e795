"""What is asked of a server, step by step: the same steps are taken in threads and event loops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .errors import AccessDenied, RequestError, ServerUnavailable
from .result import ExecutionMode, ExecutionResult
from .transport import Answer, Pause, Request, Steps

# The longest that a server waits before it answers.
WAIT_SECONDS = 60
# How long a server that has too much to do is asked again.
BUSY_SECONDS_MAX = 600.0
# How long a server that cannot be reached is tried again, where that changes nothing: a restart.
AWAY_SECONDS_MAX = 60.0
# The first pause between two tries, and the longest; each is twice as long as the last.
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0
_OPEN = ("scheduled", "queued", "running")
# Problems that say what is wrong with an execution, by the end of their type.
_KINDS = {"validation": "validation", "program-not-found": "program_not_found"}


@dataclass(frozen=True)
class Options:
    """How executions are to be run: options of the HTTP API, as `timeout`, `cache`, `lm`."""

    given: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        return {name: value for name, value in self.given.items() if value is not None}


@dataclass(frozen=True)
class Program:
    """A program as the server knows it, and as people call it."""

    id: str
    name: str


def ask(request: Request) -> Steps[Answer]:
    """The answer to a request; a server that is busy is asked again when it says so."""
    until = time.monotonic() + BUSY_SECONDS_MAX
    while True:
        answer = yield request
        assert answer is not None
        if answer.status not in (429, 503) or time.monotonic() > until:
            return answer
        yield Pause(_retry_after(answer))


class Tries:
    """The tries to reach a server, until one is answered."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._seconds = PAUSE_SECONDS_MIN

    def rest(self, error: ServerUnavailable) -> Steps[None]:
        """Pauses after one that failed; after too many, the error is raised."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + AWAY_SECONDS_MAX
        if now >= self._until:
            raise error
        seconds = min(self._seconds, self._until - now)
        self._seconds = min(2 * self._seconds, PAUSE_SECONDS_MAX)
        yield Pause(seconds)


def persist(request: Request) -> Steps[Answer]:
    """As `ask`, also of a server that is away for a while: for what may be asked twice."""
    tries = Tries()
    while True:
        try:
            return (yield from ask(request))
        except ServerUnavailable as error:
            rest = tries.rest(error)
        yield from rest


def get(path: str) -> Steps[Any]:
    """The JSON at a path."""
    return checked((yield from ask(Request("GET", path)))).json()


def submit(
    program: Program, inputs: Mapping[str, Any], mode: ExecutionMode, options: Options, wait: int
) -> Steps[dict[str, Any] | ExecutionResult]:
    """Puts an execution in: its record after so many seconds, or the result if there is one."""
    body = {"program_id": program.id, "inputs": inputs, **options.body()}
    if mode is not ExecutionMode.NORMAL:
        body["mode"] = mode.value
    headers = {"Prefer": f"wait={wait}"} if wait else {}
    request = Request("POST", "/execute", body, headers, wait)
    answer = yield from ask(request)
    refused = _refused(answer, program, mode)
    if refused is not None:
        return refused
    record: dict[str, Any] = checked(answer).json()
    return record


def execute(
    program: Program, inputs: Mapping[str, Any], mode: ExecutionMode, options: Options
) -> Steps[ExecutionResult]:
    """Runs an execution to its end."""
    record = yield from submit(program, inputs, mode, options, WAIT_SECONDS)
    while not isinstance(record, ExecutionResult):
        if is_over(record):
            return ExecutionResult.of_record(record, program.name)
        record = yield from look(record["execution_id"], WAIT_SECONDS)
    return record


def look(execution_id: str, wait: float) -> Steps[dict[str, Any]]:
    """An execution's record, when it has ended or after so many seconds."""
    request = Request("GET", f"/execution/{execution_id}?wait={wait:g}", wait_seconds=wait)
    record: dict[str, Any] = checked((yield from ask(request))).json()
    return record


def cancel(execution_id: str) -> Steps[bool]:
    """Calls an execution off; whether it was not over yet."""
    answer = yield from ask(Request("POST", f"/execution/{execution_id}/cancel"))
    if answer.status == 409:
        return False
    checked(answer)
    return True


def submit_batch(program: Program, request: Request) -> Steps[str | ExecutionResult]:
    """Puts a batch in: its id, or what each item comes to if the program is not there."""
    answer = yield from ask(request)
    refused = _refused(answer, program, ExecutionMode.NORMAL)
    if refused is not None:
        return refused
    batch_id: str = checked(answer).json()["batch_id"]
    return batch_id


def cancel_batch(batch_id: str) -> Steps[None]:
    """Calls off what has not ended of a batch."""
    checked((yield from persist(Request("POST", f"/batch/{batch_id}/cancel"))))


def clear_cache() -> Steps[dict[str, int]]:
    """Forgets results and loaded programs."""
    cleared: dict[str, int]
    cleared = checked((yield from ask(Request("POST", "/cache/clear")))).json()["cleared"]
    return cleared


def register(program_id: str, text: str) -> Steps[None]:
    """Registers a program file on the whole fleet."""
    path = f"/programs/{quote(program_id, safe='')}"
    headers = {"Content-Type": "application/yaml"}
    checked((yield from ask(Request("PUT", path, text.encode(), headers))))


def is_over(record: Mapping[str, Any]) -> bool:
    """Whether an execution has ended."""
    return record["status"] not in _OPEN


def checked(answer: Answer) -> Answer:
    """The answer, if it is none of a failure."""
    if answer.status < 400:
        return answer
    problem = _problem(answer)
    detail = problem.get("detail") or problem.get("title") or f"HTTP status {answer.status}"
    if answer.status == 401:
        raise AccessDenied(f"{detail}: give a token, as token= or in DSPYX_TOKEN")
    if answer.status == 403:
        raise AccessDenied(detail)
    raise RequestError(detail, answer.status, problem)


def _refused(answer: Answer, program: Program, mode: ExecutionMode) -> ExecutionResult | None:
    """The result of what the server does not take in, where that says what is wrong with it."""
    if answer.status not in (404, 422):
        return None
    problem = _problem(answer)
    kind = _KINDS.get(str(problem.get("type")).rpartition("#")[2])
    if kind is None:
        return None
    return ExecutionResult(
        success=False,
        error=problem.get("detail"),
        error_kind=kind,
        program_name=program.name,
        metadata={"mode": mode.value, "errors": problem.get("errors", [])},
    )


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(answer: Answer) -> float:
    try:
        return min(max(float(answer.headers.get("retry-after", "1")), 0.05), 60.0)
    except ValueError:
        return 1.0
