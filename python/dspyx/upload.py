"""Puts the inputs of a batch in: as one request, or in parts where they are many, which run while
the next ones are made and are sent again when a connection breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from . import calls
from .calls import Options, Program
from .encode import encode
from .result import ExecutionResult
from .transport import Request, Transport

# What one request carries.
ITEMS_MAX = 10_000
BYTES_MAX = 12_000_000
_NDJSON = {"Content-Type": "application/x-ndjson"}

# The items of one request, as JSON.
Part = list[bytes]


def upload(
    transport: Transport,
    program: Program,
    inputs_list: Iterable[Mapping[str, Any]],
    options: Options,
) -> tuple[str | ExecutionResult, int]:
    """The batch's id, or what each item comes to if it is refused; and how many items there are."""
    parts = _parts(inputs_list)
    first = next(parts, [])
    second = next(parts, None)
    if not first:
        return ExecutionResult(success=False), 0
    if second is None:
        return _at_once(transport, program, first, options), len(first)
    return _in_parts(transport, program, _chain(first, second, parts), options)


def _at_once(
    transport: Transport, program: Program, items: Part, options: Options
) -> str | ExecutionResult:
    head = encode({"program_id": program.id, **options.body()})
    body = head[:-1] + b',"inputs_list":[' + b",".join(items) + b"]}"
    headers = {"Content-Type": "application/json"}
    request = Request("POST", "/execute/batch", body, headers)
    return transport.run(calls.submit_batch(program, request))


def _in_parts(
    transport: Transport, program: Program, parts: Iterable[Part], options: Options
) -> tuple[str | ExecutionResult, int]:
    request = Request("POST", f"/batch?{_query(program, options)}")
    batch_id = transport.run(calls.submit_batch(program, request))
    if isinstance(batch_id, ExecutionResult):
        return batch_id, sum(len(it) for it in parts)
    count = 0
    try:
        for part in parts:
            path = f"/batch/{batch_id}/items?first={count}"
            put = Request("PUT", path, b"\n".join(part), _NDJSON)
            calls.checked(transport.run(calls.persist(put)))
            count += len(part)
        seal = Request("POST", f"/batch/{batch_id}/seal", {"total": count})
        calls.checked(transport.run(calls.persist(seal)))
    except BaseException:
        # What is there of it would run, or wait for the rest for a day.
        transport.run(calls.cancel_batch(batch_id))
        raise
    return batch_id, count


def _query(program: Program, options: Options) -> str:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    given = {name: text(value) for name, value in options.body().items()}
    return urlencode({"program_id": program.id, **given})


def _parts(inputs_list: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    items: Part = []
    size = 0
    for inputs in inputs_list:
        item = encode(inputs)
        if items and (len(items) >= ITEMS_MAX or size + len(item) > BYTES_MAX):
            yield items
            items, size = [], 0
        items.append(item)
        size += len(item) + 1
    if items:
        yield items


def _chain(first: Part, second: Part, rest: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield second
    yield from rest
