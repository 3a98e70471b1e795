"""HTTP/1.1 to one server: a connection a thread, kept open, without anything to install."""

from __future__ import annotations

import http.client
import json
import os
import select
import ssl
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .encode import encode
from .errors import ServerUnavailable

PREFIX = "/api/v1/dspy"
# How much longer than it was told to wait a server may take to answer.
PATIENCE_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is asked of the server."""

    method: str
    path: str
    body: Any = None
    """A value, sent as JSON; or pieces of bytes, sent as they come."""
    headers: dict[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0
    """How long the server is asked to wait before it answers."""
    is_read_late: bool = False
    """Whether the body of a 200 is read while it comes."""


@dataclass(frozen=True)
class Pause:
    """Time to let pass before the next request."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    late_body: http.client.HTTPResponse | None = None
    """The body, to be read before anything else is asked, where that was wished."""

    def json(self) -> Any:
        return json.loads(self.body)


# What a call does, step by step, without saying how it is sent: for threads and for event loops. It
# is told by an exception that the server cannot be reached.
Steps = Generator["Request | Pause", "Answer | None", T]


class Place:
    """Where a server is, and how it is asked."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"`{url}` is no address of a server, as http://localhost:8001")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.host, self.is_tls = parts.hostname, parts.scheme == "https"
        self.port = parts.port or (443 if self.is_tls else 80)
        path = parts.path.rstrip("/")
        # The address of the API itself is taken too.
        self.base = path if path.endswith(PREFIX) else path + PREFIX
        self.token = token
        self.headers = {"Host": parts.netloc, "User-Agent": "dspyx-python"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def prepare(self, request: Request) -> tuple[str, dict[str, str], bytes | Iterable[bytes]]:
        """The path, the headers and the body of a request as they are sent."""
        body: bytes | Iterable[bytes] = b""
        headers = {**self.headers, **request.headers}
        if isinstance(request.body, (Iterator, bytes)):
            body = request.body
        elif request.body is not None:
            body = encode(request.body)
            headers["Content-Type"] = "application/json"
        return self.base + request.path, headers, body

    def lost(self, error: Exception) -> ServerUnavailable:
        """What is raised when the connection cannot be made, or breaks."""
        reason = str(error) or type(error).__name__
        return ServerUnavailable(f"the dspyx server at {self.url} cannot be reached: {reason}")


class Transport:
    """Sends requests from any thread, and after a fork."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.patience_seconds = PATIENCE_SECONDS
        self._local = threading.local()

    def run(self, steps: Steps[T]) -> T:
        """Does what a call says, and gives what it comes to."""
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    answer = self.send(step)
                except ServerUnavailable as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def send(self, request: Request) -> Answer:
        """The answer to a request."""
        try:
            response = self._open(request)
            headers = {name.lower(): value for name, value in response.getheaders()}
            if request.is_read_late and response.status == 200:
                return Answer(response.status, headers, b"", response)
            with response:
                return Answer(response.status, headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, ServerUnavailable):
                raise
            raise self.place.lost(error) from error

    def _open(self, request: Request) -> http.client.HTTPResponse:
        path, headers, body = self.place.prepare(request)
        connection = self._connection()
        if connection.timeout != (patience := request.wait_seconds + self.patience_seconds):
            connection.timeout = patience
            if connection.sock is not None:
                connection.sock.settimeout(patience)
        try:
            is_stream = not isinstance(body, bytes)
            connection.request(request.method, path, body, headers, encode_chunked=is_stream)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self.place.lost(error) from error

    def close(self) -> None:
        """Closes this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None and self._local.pid == os.getpid():
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        local = self._local
        connection: http.client.HTTPConnection | None = getattr(local, "connection", None)
        if connection is not None and (local.pid != os.getpid() or _is_stale(connection)):
            # Of the parent after a fork: its bytes are not ours.
            self.close()
            connection = None
        if connection is None:
            if self.place.is_tls:
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(
                    self.place.host, self.place.port, context=context
                )
            else:
                connection = http.client.HTTPConnection(self.place.host, self.place.port)
            local.connection, local.pid = connection, os.getpid()
        return connection


def _is_stale(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed a connection that nothing was asked on since."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
