"""HTTP/1.1 to one server for event loops: the same calls, thousands at once in one thread."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import TypeVar

from .errors import ServerUnavailable
from .transport import PATIENCE_SECONDS, Answer, Pause, Place, Request, Steps

T = TypeVar("T")

# How many connections one event loop has open; more calls wait for one.
CONNECTIONS_MAX = 256
HEAD_BYTES_MAX = 1 << 16

# Until Python 3.11 the time-out of asyncio is no OSError.
_LOST = (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.TimeoutError)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pool:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.slots = asyncio.Semaphore(CONNECTIONS_MAX)


class AsyncTransport:
    """Sends requests from any event loop."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = (
            weakref.WeakKeyDictionary()
        )

    async def run(self, steps: Steps[T]) -> T:
        """Does what a call says, and gives what it comes to."""
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    answer = await self.send(step)
                except ServerUnavailable as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    async def send(self, request: Request) -> Answer:
        """The whole answer to a request."""
        pool = self._pools.setdefault(asyncio.get_running_loop(), _Pool())
        async with pool.slots:
            patience = request.wait_seconds + PATIENCE_SECONDS
            try:
                return await asyncio.wait_for(self._answer(pool, request), patience)
            except _LOST as error:
                raise self.place.lost(error) from error

    def close(self) -> None:
        """Closes the connections of this event loop that nobody uses."""
        try:
            pool = self._pools.pop(asyncio.get_running_loop(), None)
        except RuntimeError:
            return
        for _, writer in pool.idle if pool is not None else []:
            writer.close()

    async def _answer(self, pool: _Pool, request: Request) -> Answer:
        connection = await self._connection(pool)
        try:
            answer = await self._ask(connection, request)
        except BaseException:
            # Also when the waiting is called off: an answer may still come on it.
            connection[1].close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            connection[1].close()
        else:
            pool.idle.append(connection)
        return answer

    async def _connection(self, pool: _Pool) -> Connection:
        while pool.idle:
            reader, writer = pool.idle.pop()
            # The server may have closed it meanwhile.
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        context = ssl.create_default_context() if self.place.is_tls else None
        return await asyncio.open_connection(
            self.place.host, self.place.port, ssl=context, limit=HEAD_BYTES_MAX
        )

    async def _ask(self, connection: Connection, request: Request) -> Answer:
        reader, writer = connection
        path, headers, body = self.place.prepare(request)
        if not isinstance(body, bytes):
            raise TypeError("a stream is not sent from an event loop")
        lines = [f"{request.method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        pairs = (line.split(":", 1) for line in head[1:] if line)
        told = {name.lower(): value.strip() for name, value in pairs}
        return Answer(status, told, await _body(reader, told, status))


async def _body(reader: asyncio.StreamReader, headers: dict[str, str], status: int) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        pieces = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(pieces)
    if status in (204, 304):
        return b""
    return await reader.readexactly(int(headers.get("content-length", "0")))
