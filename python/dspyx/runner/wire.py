"""The messages between a worker and its runners: the one place for them on this side.

A frame is four bytes of length, big end first, and an object in JSON. Every message has a `type`;
the other side is `workers/src/python/protocol.rs`, and a test holds the two to each other.
"""

import array
import collections
import ctypes
import json
import os
import socket
import threading

PROTOCOL = 1
FRAME_BYTES_MAX = 64 * 1024 * 1024
FDS_MAX = 3

ANSWER_BEGINS = b'{"type":"lm_response","call":'

# What a parent hears and says.
PARENT_HEARS = ("init", "fork", "kill", "dump", "shutdown")
PARENT_SAYS = ("hello", "ready", "init_failed", "cannot_fork", "exited")
# What a child hears and says.
CHILD_HEARS = ("execute", "cancel", "lm_response", "lm_error", "ping", "shutdown")
CHILD_SAYS = (
    "ready",
    "begun",
    "init_failed",
    "lm_request",
    "embed_request",
    "span",
    "tool_span",
    "log",
    "alone",
    "result",
    "error",
    "cancelled",
    "pong",
)


# Called so, it keeps the interpreter's lock: `socket.send` lets go of it, and then has to wait until
# another thread does, though nothing here takes longer than to copy a few hundred bytes.
SEND = ctypes.PyDLL(None).send
SEND.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
SEND.restype = ctypes.c_ssize_t
AT_ONCE = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


class TooLarge(Exception):
    """A message that is longer than a frame may be."""


def encode(kind, fields):
    """A message as a frame. Text that is no Unicode loses what cannot be written."""
    text = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return frame(text.encode("utf-8", "replace"))


def frame(body):
    """A frame around a message that is JSON already."""
    if len(body) > FRAME_BYTES_MAX:
        raise TooLarge(f"{len(body)} bytes, and at most {FRAME_BYTES_MAX} can be sent")
    return len(body).to_bytes(4, "big") + body


class Wire:
    """One end of a socket pair. Many threads may send; one receives."""

    def __init__(self, sock):
        self.sock = sock
        self.fds = collections.deque()
        self._buffer = bytearray()
        self._sending = threading.Lock()
        self._fd = sock.fileno()

    def send(self, kind, /, **fields):
        self.send_frame(encode(kind, fields))

    def send_frame(self, data):
        with self._sending:
            sent = SEND(self._fd, data, len(data), AT_ONCE)
            if sent < len(data):
                self.sock.sendall(data[max(sent, 0) :])

    def receive(self):
        """The next message; none at the end of the stream."""
        head = self._take(4)
        if head is None:
            return None
        body = self._take(int.from_bytes(head, "big"))
        if body is None:
            return None
        if body.startswith(ANSWER_BEGINS):
            # Its body is read by DSPy, and need not be read here.
            call, _, rest = body[len(ANSWER_BEGINS) :].partition(b',"body":')
            return {"type": "lm_response", "call": int(call), "body": rest[:-1]}
        return json.loads(body)

    def _take(self, count):
        while len(self._buffer) < count:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(1 << 16, socket.CMSG_SPACE(4 * FDS_MAX))
            except (ConnectionResetError, BrokenPipeError):
                return None
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds = array.array("i")
                    fds.frombytes(value[: len(value) - len(value) % fds.itemsize])
                    self.fds.extend(fds)
            if not data:
                return None
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def has_more(self):
        """Whether a whole message was read already, for which no poll will call."""
        size = int.from_bytes(self._buffer[:4], "big")
        return len(self._buffer) >= 4 + size and len(self._buffer) >= 4

    def take_fds(self):
        """The descriptors that came with the message read last."""
        return [self.fds.popleft() for _ in range(min(FDS_MAX, len(self.fds)))]

    def close(self):
        self.sock.close()


def adopt_stdin():
    """The socket that the worker gave as standard input, out of the reach of programs."""
    sock = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return Wire(sock)
