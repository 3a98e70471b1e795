"""Many executions at once: put in piece by piece, read back in the order of their inputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import calls
from .calls import Options, Program
from .encode import encode
from .errors import RequestError, ServerUnavailable
from .progress import Progress
from .result import ExecutionResult
from .transport import Answer, Request, Transport

# What one batch of the server takes.
ITEMS_MAX = 10_000
BYTES_MAX = 12_000_000
# How often in a row a download may break off without a line.
BREAKS_MAX = 5


class Batch:
    """A batch that was put in: its id and how many items it has; or what refused it."""

    def __init__(
        self,
        transport: Transport,
        program: Program,
        id: str | None,
        count: int,
        why: ExecutionResult | None,
    ) -> None:
        self._transport, self._program = transport, program
        self.id, self.count = id, count
        self._why = why

    def results(self) -> Iterator[ExecutionResult]:
        """The results in the order of the inputs, each as soon as it and all before it are there."""
        if self._why is not None:
            for _ in range(self.count):
                yield self._why
            return
        name, done, breaks = self._program.name, 0, 0
        while done < self.count:
            before = done
            try:
                for record in self._lines(done):
                    done += 1
                    yield ExecutionResult.of_record(record, name)
            except ServerUnavailable:
                breaks = 0 if done > before else breaks + 1
                if breaks >= BREAKS_MAX:
                    raise

    def cancel(self) -> None:
        """Calls off what has not ended."""
        if self.id is not None:
            steps = calls.ask(Request("POST", f"/batch/{self.id}/cancel"))
            calls.checked(self._transport.run(steps))

    def _lines(self, cursor: int) -> Iterator[dict[str, Any]]:
        wait = calls.WAIT_SECONDS
        path = f"/batch/{self.id}/results?cursor={cursor}&wait={wait}"
        transport = self._transport
        response = transport.open(Request("GET", path, wait_seconds=wait))
        try:
            if response.status != 200:
                answer = Answer(response.status, {}, response.read())
                calls.checked(answer)
                raise RequestError(f"HTTP status {answer.status}", answer.status, {})
            for line in response:
                yield json.loads(line)
        except (OSError, ValueError) as error:
            raise transport.place.lost(error) from error
        finally:
            if not response.isclosed():
                # The rest of it would be taken for the answer to the next request.
                transport.close()


class Batches:
    """All that was put in by one call."""

    def __init__(self, program: Program, batches: list[Batch]) -> None:
        self._program, self._batches = program, batches

    def results(self, progress: bool | None) -> list[ExecutionResult]:
        """All results, in the order of the inputs."""
        results: list[ExecutionResult] = []
        total = sum(it.count for it in self._batches)
        with Progress(total, self._program.name, progress) as bar:
            for batch in self._batches:
                for result in batch.results():
                    results.append(result)
                    bar.advance(result.success)
        return results

    def cancel(self) -> None:
        """Calls off what has not ended."""
        for batch in self._batches:
            batch.cancel()


def submit(
    transport: Transport,
    program: Program,
    inputs_list: Iterable[Mapping[str, Any]],
    options: Options,
) -> Batches:
    """Puts the inputs in, as few batches as the server takes."""
    batches = []
    for body, count in _pieces(program, inputs_list, options):
        answer = transport.run(calls.submit_batch(program, body))
        if isinstance(answer, ExecutionResult):
            batches.append(Batch(transport, program, None, count, answer))
        else:
            batches.append(Batch(transport, program, answer, count, None))
    return Batches(program, batches)


def _pieces(
    program: Program, inputs_list: Iterable[Mapping[str, Any]], options: Options
) -> Iterator[tuple[bytes, int]]:
    """The bodies of the requests, and how many items each has."""
    head = encode({"program_id": program.id, **options.body()})[:-1] + b',"inputs_list":['
    items: list[bytes] = []
    size = 0
    for inputs in inputs_list:
        item = encode(inputs)
        if items and (len(items) >= ITEMS_MAX or size + len(item) > BYTES_MAX):
            yield head + b",".join(items) + b"]}", len(items)
            items, size = [], 0
        items.append(item)
        size += len(item) + 1
    if items:
        yield head + b",".join(items) + b"]}", len(items)
