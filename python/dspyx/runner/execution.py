"""One execution as its process sees it: its calls, its output, and how it is stopped."""

import ctypes
import threading

from . import output, scope


class Execution:
    """One execution, from `execute` to its last message."""

    def __init__(self, link, message):
        self.run = message["run"]
        self.inputs = message["inputs"]
        self.lm = message.get("lm") or {}
        self.is_debug = message.get("debug", False)
        self.is_streaming = message.get("stream", False)
        self.calls = {}
        # The models that were not asked through the worker, which has to be told what they used.
        self.direct = set()
        self.is_cancelled = False
        self.is_over = False
        self._link = link
        self._lock = threading.Lock()
        self._thread = None
        self.task = None
        # By the names of their streams, once something is printed there.
        self._pages = {}

    def say(self, kind, /, **fields):
        self._link.send(kind, run=self.run, **fields)

    def print(self, stream, text):
        with self._lock:
            page = self._pages.get(stream)
            if page is None:
                page = self._pages[stream] = output.Page(
                    lambda line: self.say("log", stream=stream, line=line)
                )
            page.write(text)

    def cancel(self, loop):
        """Ends it as soon as Python allows. Calls of models end at once."""
        self.is_cancelled = True
        for pending in list(self.calls.values()):
            pending.settle(scope.Cancelled())
        with self._lock:
            if self.is_over:
                return
            if self.task is not None:
                loop.call_soon_threadsafe(self.task.cancel)
            elif self._thread is not None:
                _raise_in(self._thread, scope.Cancelled)

    def enter(self):
        with self._lock:
            self._thread = threading.get_ident()
        if self.is_cancelled:
            raise scope.Cancelled()

    def leave(self):
        with self._lock:
            self.is_over = True
            if self._thread is not None:
                # What was set for this thread and has not arrived would hit the next execution.
                _raise_in(self._thread, None)
            for page in self._pages.values():
                page.end()
            # What leads back here would be garbage that only a search finds.
            self._pages, self.task = {}, None


def _raise_in(thread, exception):
    what = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
