"""Many executions at once, whose results are read back in the order of their inputs."""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import calls
from .calls import Options, Program
from .errors import RequestError, ServerUnavailable
from .progress import Progress
from .result import ExecutionResult
from .transport import Request, Transport
from .upload import upload

_PLACE = re.compile(r" \(line \d+[^()]*\)\Z")


class Batch:
    """A batch that was put in, or refused."""

    def __init__(
        self, transport: Transport, program: Program, batch: str | ExecutionResult, count: int
    ) -> None:
        self._transport, self._program = transport, program
        self._batch, self._count = batch, count

    def results(self, progress: bool | None) -> list[ExecutionResult]:
        """All results, in the order of the inputs."""
        results: list[ExecutionResult] = []
        with Progress(self._count, self._program.name, progress) as bar:
            for result in self._results():
                results.append(result)
                bar.advance(result.success)
        return results

    def _results(self) -> Iterator[ExecutionResult]:
        """The results, each as soon as it and all before it are there."""
        if isinstance(self._batch, ExecutionResult):
            for _ in range(self._count):
                yield dataclasses.replace(self._batch)
            return
        name, done, tries = self._program.name, 0, calls.Tries()
        while done < self._count:
            try:
                for record in self._lines(self._batch, done):
                    done, tries = done + 1, calls.Tries()
                    yield ExecutionResult.of_record(_sentence(record), name)
            except ServerUnavailable as error:
                self._transport.run(tries.rest(error))

    def cancel(self) -> None:
        """Calls off what has not ended."""
        if isinstance(self._batch, str):
            self._transport.run(calls.cancel_batch(self._batch))

    def _lines(self, batch_id: str, cursor: int) -> Iterator[dict[str, Any]]:
        wait = calls.WAIT_SECONDS
        path = f"/batch/{batch_id}/results?cursor={cursor}&wait={wait}"
        transport = self._transport
        request = Request("GET", path, wait_seconds=wait, is_read_late=True)
        answer = calls.checked(transport.run(calls.ask(request)))
        response = answer.late_body
        if response is None:
            raise RequestError(f"HTTP status {answer.status}", answer.status, {})
        try:
            for line in response:
                yield json.loads(line)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise transport.place.lost(error) from error
        finally:
            if not response.isclosed():
                # The rest of it would be taken for the answer to the next request.
                transport.close()


def submit(
    transport: Transport,
    program: Program,
    inputs_list: Iterable[Mapping[str, Any]],
    options: Options,
) -> Batch:
    """Puts a batch in, of any length."""
    batch, count = upload(transport, program, inputs_list, options)
    return Batch(transport, program, batch, count)


def _sentence(record: dict[str, Any]) -> dict[str, Any]:
    """The record without the line of the upload in its error: what was given has no lines."""
    if record["error_kind"] == "validation":
        record["error"] = _PLACE.sub("", record["error"])
    return record
