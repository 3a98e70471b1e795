"""A private server: a child process that this one has for itself, and that goes with it.

The two talk through pipes (`src/commands/private.rs` says what). Its standard input stays open as
long as this process lives; when that ends, by whatever, the server ends too.
"""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

from . import binary
from .errors import DspyxError, ServerUnavailable
from .transport import Place, Request, Transport

logger = logging.getLogger("dspyx")

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
# How long MLflow and webhooks may take to hear of the last that has ended.
TELL_SECONDS_MAX = 10.0
# How much of its log is kept, to say why it ended.
LAST_LINES = 20
_LEVELS = {"ERROR": logging.ERROR, "WARN": logging.WARNING}

_servers: weakref.WeakSet[PrivateServer] = weakref.WeakSet()


class PrivateServer:
    """A running server; stopped when it is collected, and at the end of this process."""

    def __init__(
        self,
        options: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        data_dir: str | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.sent: dict[str, str] = {}
        """The keys that were handed over, by their variables."""
        self._owner = os.getpid()
        self._process = _spawn(options, environment or {}, data_dir)
        process = self._process
        assert process.stdout is not None and process.stderr is not None
        self._answers = _buffered(process.stdout)
        log = threading.Thread(
            target=_forward, args=(process.stderr, self._last_lines), name="dspyx-log", daemon=True
        )
        log.start()
        self._stop = weakref.finalize(self, _stop, process, self._owner, None)
        _servers.add(self)
        ready = self._ready(log)
        self._stop.detach()
        place = Place(ready["url"], ready["token"])
        # What waits in a named folder is told of the next time.
        told = place if data_dir is None else None
        self._stop = weakref.finalize(self, _stop, process, self._owner, told)
        self.url: str = ready["url"]
        self.token: str = ready["token"]
        self.folder = Path(ready["folder"])

    def is_alive(self) -> bool:
        """Whether it runs; of another process's, only that knows."""
        return os.getpid() != self._owner or self._process.poll() is None

    def give_keys(self, keys: Mapping[str, str]) -> None:
        """Hands over keys of models, by the names of variables. They are in memory only."""
        new = {name: key for name, key in keys.items() if self.sent.get(name) != key}
        if new:
            self._ask({"keys": new})
            self.sent.update(new)

    def add(self, path: Path) -> tuple[str, str]:
        """Lets it run a program file anywhere on this machine; its id and version."""
        answer = self._ask({"program": os.path.abspath(path)})
        if "error" in answer:
            raise DspyxError(answer["error"])
        return answer["program_id"], answer["version"]

    def stop(self) -> None:
        """Ends it; what runs there is called off."""
        self._stop()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        if process.stdin is None or process.stdin.closed:
            raise DspyxError(
                "this process was forked from the one that has started the dspyx server, and "
                "cannot hand programs over to it: make an executor of its own"
            )
        with self._lock:
            try:
                process.stdin.write(json.dumps(message).encode() + b"\n")
                line = self._answers.readline()
            except OSError:
                line = b""
        if not line:
            raise self._ended("has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ready(self, log: threading.Thread) -> dict[str, Any]:
        process = self._process
        timer = threading.Timer(START_SECONDS_MAX, process.kill)
        timer.daemon = True
        timer.start()
        line = self._answers.readline()
        timer.cancel()
        if not line:
            process.wait()
            log.join(STOP_SECONDS_MAX)
            raise self._ended("cannot start")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _ended(self, what: str) -> ServerUnavailable:
        said = "".join(f"\n  {line}" for line in self._last_lines)
        return ServerUnavailable(f"the private dspyx server {what}{said}")


def _spawn(
    options: Mapping[str, str], environment: Mapping[str, str], data_dir: str | None
) -> subprocess.Popen[bytes]:
    command = [binary.find(), "serve", "--private"]
    if data_dir is not None:
        command += ["--private-folder", os.path.abspath(data_dir)]
    for name, value in options.items():
        command += [f"--{name}", value]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **environment, "LOG_FORMAT": "json"},
            # Ctrl-C is for this process, which then ends it.
            start_new_session=True,
        )
    except OSError as error:
        raise ServerUnavailable(f"cannot start {command[0]}: {error}") from error


def _buffered(pipe: IO[bytes]) -> io.BufferedReader:
    """The lines of a pipe, which by itself is read a byte at a time.

    A fork closes the pipe and not this, whose lock another thread may hold for ever then.
    """
    return io.BufferedReader(cast(io.FileIO, pipe))


def _forward(pipe: IO[bytes], last: deque[str]) -> None:
    """Hands its log to ours: warnings and errors as such, all else as debug."""
    try:
        for line in _buffered(pipe):
            text = line.decode("utf-8", "replace").rstrip()
            try:
                said = json.loads(text)
                level = _LEVELS.get(said["level"], logging.DEBUG)
                text = said["message"]
            except (ValueError, KeyError, TypeError):
                level = logging.DEBUG
            last.append(text)
            logger.log(level, "%s", text)
    except (OSError, ValueError):
        pass  # It was closed.


def _stop(process: subprocess.Popen[bytes], owner: int, place: Place | None) -> None:
    if os.getpid() != owner:
        return
    if place is not None and process.poll() is None:
        _let_tell(Transport(place))
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _let_tell(transport: Transport) -> None:
    """Waits until MLflow and webhooks are told of what has ended, if they can be soon."""
    until = time.monotonic() + TELL_SECONDS_MAX
    try:
        while (left := until - time.monotonic()) > 0:
            transport.patience_seconds = left
            outbox = transport.send(Request("GET", "/stats")).json().get("outbox", {})
            if not any(channel["waiting"] for channel in outbox.values()):
                return
            time.sleep(0.05)
        logger.warning("the dspyx server ends before all is told to MLflow or to webhooks")
    except Exception as error:
        logger.debug("the dspyx server does not say what is left: %s", error)
    finally:
        transport.close()


def _let_go() -> None:
    """In a forked child: the server is the parent's, and must end with that."""
    for server in list(_servers):
        process = server._process
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        server._lock = threading.Lock()


os.register_at_fork(after_in_child=_let_go)
