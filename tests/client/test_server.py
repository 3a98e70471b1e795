"""The executor's own server: there when it is needed, and gone with who started it."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import SOON_SECONDS, until

from dspyx import DSPyPipelineExecutor, ServerUnavailable, calls
from dspyx.server import _forward, _let_tell
from dspyx.transport import Place, Transport

TEXT = {"text": "a"}


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def start(code: str) -> tuple[subprocess.Popen[str], int, Path]:
    """A process that has an executor `it`: it, its server's pid, and the server's folder."""
    head = (
        "from dspyx import DSPyPipelineExecutor\n"
        "it = DSPyPipelineExecutor()\n"
        "assert it.execute(model_id='summarizer-v2', inputs={'text': 'a'}).success\n"
        "print(it._server._process.pid, it._server.folder, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", head + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid, folder = process.stdout.readline().split()
    assert is_running(int(pid)) and Path(folder).exists()
    return process, int(pid), Path(folder)


def test_kill_9_leaves_neither_server_nor_folder() -> None:
    process, pid, folder = start("input()")

    process.kill()
    process.wait()

    until("the server is gone", lambda: not is_running(pid))
    assert not folder.exists()


def test_a_process_that_ends_takes_its_server_along() -> None:
    process, pid, folder = start("")

    assert process.wait(SOON_SECONDS) == 0
    assert not is_running(pid) and not folder.exists()


def test_a_forked_child_that_lives_longer_does_not_keep_the_server() -> None:
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        f"    time.sleep({SOON_SECONDS})\n"
        "    os._exit(0)\n"
        "print(child, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    process, pid, folder = start(code)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        process.wait()

        until("the server is gone", lambda: not is_running(pid))
        assert is_running(child) and not folder.exists()
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_server_that_died_is_replaced(executor: DSPyPipelineExecutor) -> None:
    assert executor.execute(model_id="summarizer-v2", inputs=TEXT).success
    assert executor._server is not None
    process = executor._server._process

    process.kill()
    process.wait()

    assert executor.execute(model_id="summarizer-v2", inputs=TEXT).success


def test_what_is_in_a_data_dir_outlives_the_server(tmp_path: Path) -> None:
    with DSPyPipelineExecutor(data_dir=tmp_path) as first:
        result = first.execute(model_id="summarizer-v2", inputs=TEXT)
    with DSPyPipelineExecutor(data_dir=tmp_path) as second:
        assert second.get_execution_stats()["total_executions"] == 1
        again = second.execute(model_id="summarizer-v2", inputs=TEXT)

    assert again.metadata["cache_hit"] and again.outputs == result.outputs
    with pytest.raises(RuntimeError, match="shut down"):
        first.execute(model_id="summarizer-v2", inputs=TEXT)


def test_a_fork_can_go_on_using_it(executor: DSPyPipelineExecutor) -> None:
    assert executor.execute(model_id="summarizer-v2", inputs=TEXT).success
    assert executor._server is not None
    ends, theirs = multiprocessing.Pipe(duplex=False)

    def summarize() -> None:
        result = executor.execute(model_id="summarizer-v2", inputs={"text": str(os.getpid())})
        theirs.send(result.outputs)

    children = [multiprocessing.get_context("fork").Process(target=summarize) for _ in range(4)]
    for child in children:
        child.start()
    outputs = [ends.recv() for _ in children]
    for child in children:
        child.join(SOON_SECONDS)
        assert child.exitcode == 0

    assert all("summary" in it for it in outputs)
    assert executor._server.is_alive()
    assert executor.execute(model_id="summarizer-v2", inputs={"text": "b"}).success


def test_a_server_that_does_not_say_what_is_left_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dspyx.server.TELL_SECONDS_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Place(f"http://127.0.0.1:{silent.getsockname()[1]}", None)
        began = time.monotonic()
        _let_tell(Transport(place))
        assert time.monotonic() - began < SOON_SECONDS


def test_its_log_is_not_read_a_byte_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    reads = 0

    class Pipe(io.FileIO):
        def readinto(self, buffer: Any) -> int | None:
            nonlocal reads
            reads += 1
            return super().readinto(buffer)

        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal reads
            reads += 1
            return super().read(size)

    caplog.set_level(logging.DEBUG, "dspyx")
    ends, theirs = os.pipe()
    os.write(theirs, b'{"level": "WARN", "message": "a"}\n' * 100)
    os.close(theirs)
    with Pipe(ends) as pipe:
        _forward(pipe, deque())

    assert caplog.record_tuples == [("dspyx", logging.WARNING, "a")] * 100
    assert reads <= 10


def test_threads_share_it(executor: DSPyPipelineExecutor) -> None:
    def run(number: int) -> bool:
        return executor.execute(model_id="fast-program", inputs={"input": number}).success

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(run, range(64)))


def test_max_workers_is_how_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def slots(executor: DSPyPipelineExecutor) -> int:
        with executor:
            (worker,) = executor.get_execution_stats()["workers"]
        return int(worker["slots"])

    assert slots(DSPyPipelineExecutor(max_workers=7)) == 7
    assert slots(DSPyPipelineExecutor()) == 4
    monkeypatch.setenv("MAX_WORKERS", "9")
    assert slots(DSPyPipelineExecutor()) == 9


def test_its_log_is_ours(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nsignatur: a\n")
    caplog.set_level(logging.DEBUG, "dspyx")

    with DSPyPipelineExecutor(programs_dir=tmp_path) as executor:
        assert executor.get_execution_stats()["total_executions"] == 0

    assert ("dspyx", logging.DEBUG, "stopped") in caplog.record_tuples
    (warning,) = [it for it in caplog.records if it.levelno == logging.WARNING]
    assert "did you mean `signatures`?" in warning.getMessage()


def test_who_has_no_folder_of_programs_is_not_warned(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROGRAMS_DIR")
    monkeypatch.chdir(tmp_path)
    with DSPyPipelineExecutor() as executor:
        assert executor._connected().run(calls.get("/programs"))["programs"] == []
    assert not [it for it in caplog.records if it.levelno >= logging.WARNING]


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESULT_TTL", "soon")
    with pytest.raises(ServerUnavailable, match="RESULT_TTL is `soon`, but"):
        DSPyPipelineExecutor().get_execution_stats()


def test_settings_of_a_fleet_do_not_concern_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("API_HOST", "0.0.0.0"),
        ("API_PORT", "1"),
        ("SECRET_KEY", "k" * 32),
    ):
        monkeypatch.setenv(name, value)
    with DSPyPipelineExecutor() as executor:
        assert executor.execute(model_id="summarizer-v2", inputs=TEXT).success
        assert executor.url.startswith("http://127.0.0.1:")
