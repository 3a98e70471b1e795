"""Measures the Python client against the executor's own server: what a call costs beside the bare
exchange of bytes, and how many inputs a second a batch gets through.

    cargo build --release
    DSPYX_BINARY=target/release/dspyx PYTHONPATH=python python3 benches/client.py

Prints JSON lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from dspyx import DSPyPipelineExecutor

PROGRAMS = Path(__file__).parent.parent / "examples/programs"
# A program that does as little as can be, with the model that needs no network.
PROGRAM = "echo"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--calls", type=int, default=1000)
    options.add_argument("--items", type=int, default=10_000)
    options.add_argument("--max-workers", type=int, default=256)
    given = options.parse_args()
    with DSPyPipelineExecutor(programs_dir=PROGRAMS, max_workers=given.max_workers) as executor:
        calls(executor, given.rounds, given.calls)
        batches(executor, given.rounds, given.items)
        asyncio.run(loop(executor, given.rounds, given.calls))


def calls(executor: DSPyPipelineExecutor, rounds: int, count: int) -> None:
    """One execution after another: by the client, and by bytes that were made before."""
    bare = Bare(executor)
    for _ in range(rounds):
        cpu = time.thread_time()
        client = timed(count, lambda: executor.execute(model_id=PROGRAM, inputs={"text": "x"}))
        cpu = (time.thread_time() - cpu) * 1e3 / (count + count // 10)
        bytes_only = timed(count, bare.ask)
        overhead = statistics.median(client) - statistics.median(bytes_only)
        tell("execute", client_p50_ms=statistics.median(client), client_p99_ms=p99(client),
             bare_p50_ms=statistics.median(bytes_only), overhead_ms=overhead, client_cpu_ms=cpu)


def batches(executor: DSPyPipelineExecutor, rounds: int, items: int) -> None:
    """Batches of inputs that are all different, from the call to the list of results."""
    for _ in range(rounds):
        inputs = [{"text": str(it)} for it in range(items)]
        began, cpu = time.perf_counter(), time.thread_time()
        results = executor.execute_batch(model_id=PROGRAM, inputs_list=inputs, progress=False)
        seconds, cpu = time.perf_counter() - began, time.thread_time() - cpu
        assert len(results) == items and all(it.success for it in results)
        tell("execute_batch", items=items, seconds=seconds, items_per_second=items / seconds,
             client_cpu_seconds=cpu)


async def loop(executor: DSPyPipelineExecutor, rounds: int, count: int) -> None:
    """Many executions at once, from one event loop."""
    for _ in range(rounds):
        began = time.perf_counter()
        coming = (executor.aexecute(model_id=PROGRAM, inputs={"text": str(it)}) for it in range(count))
        results = await asyncio.gather(*coming)
        seconds = time.perf_counter() - began
        assert all(it.success for it in results)
        tell("aexecute", calls=count, seconds=seconds, calls_per_second=count / seconds)


class Bare:
    """The same request as bytes, and no more of the answer than its length."""

    def __init__(self, executor: DSPyPipelineExecutor) -> None:
        host, port = executor.url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")
        body = {"program_id": PROGRAM, "inputs": {"text": "x"}, "timeout": 300, "max_retries": 1}
        text = json.dumps(body)
        self._request = (
            f"POST /api/v1/dspy/execute HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {executor.token}\r\nPrefer: wait=60\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"
        ).encode()

    def ask(self) -> None:
        self._socket.sendall(self._request)
        length = 0
        while (line := self._reader.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        assert b'"succeeded"' in self._reader.read(length)


def timed(count: int, call: Callable[[], object]) -> list[float]:
    """How many milliseconds each call took; the first ones, which warm up, not counted."""
    took = []
    for _ in range(count + count // 10):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1e3)
    return took[count // 10 :]


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def tell(what: str, **figures: float) -> None:
    cores = os.cpu_count()
    print(json.dumps({"what": what, "cores": cores, **figures}), flush=True)


if __name__ == "__main__":
    main()
