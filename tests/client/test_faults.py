"""A server that is away, or has too much to do, while a batch is put in and read back."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from conftest import SOON_SECONDS

from dspyx import DSPyPipelineExecutor, ExecutionResult, ServerUnavailable, calls

Faults = dict[str, list[str]]
ITEMS = [{"input": it} for it in range(1_200)]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspyx.calls.PAUSE_SECONDS_MIN", 0.001)
    monkeypatch.setattr("dspyx.upload.ITEMS_MAX", 500)


@pytest.fixture
def faults() -> Faults:
    """What happens to the next requests, by the last word of their paths: `away`, the server does
    not get it; `lost`, its answer is lost; `busy`, it has too much to do."""
    return defaultdict(list)


@pytest.fixture
def client(executor: DSPyPipelineExecutor, faults: Faults) -> Iterator[DSPyPipelineExecutor]:
    """An executor whose way to its server has faults."""
    host = executor.url.removeprefix("http://")

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            waiting = faults[self.path.partition("?")[0].rpartition("/")[2]]
            fault = waiting.pop(0) if waiting else None
            if fault == "busy":
                return self.reply(503, b"{}")
            if fault != "away":
                server = HTTPConnection(host)
                server.request(self.command, self.path, body, dict(self.headers))
                answer = server.getresponse()
                status, said = answer.status, answer.read()
                server.close()
                if fault is None:
                    return self.reply(status, said)
            self.close_connection = True

        do_GET = do_POST = do_PUT = handle_one

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{proxy.server_port}"
    with DSPyPipelineExecutor(url=url, token=executor.token) as client:
        yield client
    proxy.shutdown()
    proxy.server_close()


def run(client: DSPyPipelineExecutor) -> list[ExecutionResult]:
    return client.execute_batch(model_id="fast-program", inputs_list=ITEMS)


def status(executor: DSPyPipelineExecutor) -> str:
    """That of the one batch."""
    (batch,) = executor._connected().run(calls.get("/batches"))["batches"]
    return str(batch["status"])


@pytest.mark.parametrize("step", ["items", "seal", "results"])
def test_a_batch_outlives_a_restart_of_its_server(
    client: DSPyPipelineExecutor, faults: Faults, step: str
) -> None:
    faults[step] = ["lost", *["away"] * 8, "busy", "lost", "busy"]

    results = run(client)

    assert len(results) == len(ITEMS) and all(it.success for it in results)
    assert status(client) == "completed" and faults[step] == []


def test_a_batch_is_called_off_though_the_server_is_away_for_a_while(
    client: DSPyPipelineExecutor, faults: Faults
) -> None:
    faults["cancel"] = ["away", "busy", "lost"]

    def inputs() -> Iterator[dict[str, Any]]:
        yield from ITEMS
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        client.execute_batch(model_id="fast-program", inputs_list=inputs())
    assert status(client) in ("cancelled", "cancelling") and faults["cancel"] == []


def test_a_server_that_stays_away_is_given_up(
    client: DSPyPipelineExecutor, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dspyx.calls.AWAY_SECONDS_MAX", 0.2)
    faults["results"] = ["away"] * 10_000

    with pytest.raises(ServerUnavailable, match="cannot be reached"):
        run(client)


def test_an_event_loop_does_not_wait_for_ever_for_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("dspyx.aio.PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr("dspyx.calls.WAIT_SECONDS", 0)
    monkeypatch.setattr("asyncio.open_connection", connect)

    async def run() -> None:
        async with DSPyPipelineExecutor(url="http://127.0.0.1:9") as client:
            asked = client.aexecute(model_id="fast-program", inputs={})
            with pytest.raises(ServerUnavailable, match="cannot be reached"):
                await asyncio.wait_for(asked, SOON_SECONDS)

    asyncio.run(run())
