"""What the tests of the Python package share: an executor with programs that need no network."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dspyx import DSPyPipelineExecutor

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SOON_SECONDS = 20.0


def until(what: str, look: Callable[[], bool]) -> None:
    """Waits until it is so."""
    end = time.monotonic() + SOON_SECONDS
    while not look():
        assert time.monotonic() < end, f"not in {SOON_SECONDS:g} s: {what}"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _only_our_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither use nor disturb a server that happens to run here."""
    for name in ("DSPYX_URL", "DSPYX_TOKEN", "MLFLOW_TRACKING_URI", "MAX_WORKERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROGRAMS_DIR", str(PROGRAMS))


@pytest.fixture
def executor() -> Iterator[DSPyPipelineExecutor]:
    with DSPyPipelineExecutor() as executor:
        yield executor


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """The headers of the requests that the stub of a model got."""
    return []


@pytest.fixture
def stub(asked: list[dict[str, Any]]) -> Iterator[str]:
    """The address of a model that always answers `stubbed`."""

    class Stub(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append({name.lower(): value for name, value in self.headers.items()})
            text = "[[ ## answer ## ]]\nstubbed\n\n[[ ## completed ## ]]"
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "stub"}
            body = json.dumps({**reply, "choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
