"""Where calls of language models are handed to the worker, and answers are handed back."""

import asyncio
import contextlib
import contextvars
import functools
import itertools
import json
import threading

from . import scope, wire

# The kinds of calls.
LM, EMBED = "lm_request", "embed_request"
# Which of several equal calls the next one is.
ROLLOUT = contextvars.ContextVar("dspyx_rollout", default=None)


@contextlib.contextmanager
def as_rollout(number):
    """Calls made within are this one of several equal ones."""
    token = ROLLOUT.set(number)
    try:
        yield
    finally:
        ROLLOUT.reset(token)


class Pending:
    """A call of a model that waits for the worker's answer."""

    def __init__(self):
        self.outcome = None
        # What wakes the one who waits, once there is one.
        self._wake = None

    def settle(self, outcome):
        """Gives the outcome: a body, or an exception. Any thread may; the first one counts."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        wake = self._wake
        if wake is not None:
            wake()

    def wait(self):
        lock = threading.Lock()
        lock.acquire()
        self._wake = lock.release
        # In slices: an exception that another thread sets for this one comes between them.
        while self.outcome is None and not lock.acquire(timeout=1.0):
            pass
        return self._take()

    async def wait_async(self, bell):
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        call = loop.call_soon_threadsafe if bell is None else bell.call
        self._wake = functools.partial(call, _wake, waiter)
        if self.outcome is None:
            await waiter
        return self._take()

    def _take(self):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def _wake(waiter):
    if not waiter.done():
        waiter.set_result(None)


class Desk:
    """Where calls are handed to the worker, and answers are handed back."""

    def __init__(self, link):
        self._link = link
        self._numbers = itertools.count(1)
        self._pending = {}
        self._alone = None
        # Of the loop that executions run in, where they do.
        self._loop = self._bell = self._tray = None

    def in_loop(self, loop, bell, tray):
        """Names the loop that executions run in, and how it hears and says things."""
        self._loop, self._bell, self._tray = loop, bell, tray

    def alone(self, execution):
        """Names the one execution there is, for calls from threads that belong to none."""
        self._alone = execution

    def open(self, kind, model, body, send):
        execution = scope.current() or self._alone
        if execution is None:
            raise RuntimeError("a language model was called outside of any execution")
        if execution.is_cancelled:
            raise scope.Cancelled()
        number, pending = next(self._numbers), Pending()
        head = {"type": kind, "run": execution.run, "call": number, "model": model}
        rollout = ROLLOUT.get()
        if rollout is not None:
            head["rollout_id"] = rollout
        is_lm = kind == LM
        asked = scope.ASKED.get() if is_lm and execution.is_streaming else None
        if asked is not None:
            head["asked"] = asked
        # The body is JSON already, in the bytes that would have been sent.
        text = json.dumps(head, ensure_ascii=False)[:-1].encode() + b',"body":' + body + b"}"
        data = wire.frame(text)
        self._pending[number] = pending
        execution.calls[number] = pending
        calls = scope.CALLS.get() if is_lm else None
        if calls is not None:
            calls.append(number)
        if execution.is_cancelled:
            self.close(execution, number)
            raise scope.Cancelled()
        send(data)
        return execution, number, pending

    def close(self, execution, number):
        self._pending.pop(number, None)
        execution.calls.pop(number, None)

    def answer(self, number, outcome):
        pending = self._pending.pop(number, None)
        if pending is not None:
            pending.settle(outcome)

    def ask(self, model, body, kind=LM):
        execution, number, pending = self.open(kind, model, body, self._link.send_frame)
        try:
            return pending.wait()
        finally:
            self.close(execution, number)

    async def ask_async(self, model, body, kind=LM):
        # A program may have loops of its own, in threads.
        is_ours = asyncio.get_running_loop() is self._loop
        send, bell = (self._tray.put, self._bell) if is_ours else (self._link.send_frame, None)
        execution, number, pending = self.open(kind, model, body, send)
        try:
            return await pending.wait_async(bell)
        finally:
            self.close(execution, number)
