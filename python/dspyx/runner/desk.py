"""Where calls of language models are handed to the worker, and answers are handed back."""

import asyncio
import contextlib
import contextvars
import itertools
import json
import threading

from . import scope, wire

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
        self._event = threading.Event()
        self._future = None

    def settle(self, outcome):
        """Gives the outcome: a body, or an exception. Any thread may; the first one counts."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        self._event.set()
        future = self._future
        if future is not None:
            call, waiter = future
            call(_wake, waiter)

    def wait(self):
        # In slices: an exception that another thread sets for this one comes between them.
        while not self._event.wait(1.0):
            pass
        return self._take()

    async def wait_async(self, bell):
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        is_ours = bell is not None and bell.loop is loop
        self._future = (bell.call if is_ours else loop.call_soon_threadsafe, waiter)
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
        self.bell = None

    def alone(self, execution):
        """Names the one execution there is, for calls from threads that belong to none."""
        self._alone = execution

    def open(self, model, body):
        execution = scope.current() or self._alone
        if execution is None:
            raise RuntimeError("a language model was called outside of any execution")
        if execution.is_cancelled:
            raise scope.Cancelled()
        number, pending = next(self._numbers), Pending()
        head = {"type": "lm_request", "run": execution.run, "call": number, "model": model}
        rollout = ROLLOUT.get()
        if rollout is not None:
            head["rollout_id"] = rollout
        asked = scope.ASKED.get() if execution.is_streaming else None
        if asked is not None:
            head["asked"] = asked
        # The body is JSON already, in the bytes that would have been sent.
        text = json.dumps(head, ensure_ascii=False)[:-1].encode() + b',"body":' + body + b"}"
        data = wire.frame(text)
        self._pending[number] = pending
        execution.calls[number] = pending
        calls = scope.CALLS.get()
        if calls is not None:
            calls.append(number)
        if execution.is_cancelled:
            self.close(execution, number)
            raise scope.Cancelled()
        self._link.send_frame(data)
        return execution, number, pending

    def close(self, execution, number):
        self._pending.pop(number, None)
        execution.calls.pop(number, None)

    def answer(self, number, outcome):
        pending = self._pending.pop(number, None)
        if pending is not None:
            pending.settle(outcome)

    def ask(self, model, body):
        execution, number, pending = self.open(model, body)
        try:
            return pending.wait()
        finally:
            self.close(execution, number)

    async def ask_async(self, model, body):
        execution, number, pending = self.open(model, body)
        try:
            return await pending.wait_async(self.bell)
        finally:
            self.close(execution, number)
