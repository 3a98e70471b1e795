"""Which execution the running code belongs to, also in threads that a program starts."""

import concurrent.futures
import contextvars
import threading

EXECUTION = contextvars.ContextVar("dspyx_execution", default=None)
# The numbers of the calls that the model here has made, by which a trace names them.
CALLS = contextvars.ContextVar("dspyx_calls", default=None)
# Who asks the model here, and for which texts; for the worker, which tells them as they grow.
ASKED = contextvars.ContextVar("dspyx_asked", default=None)


class Cancelled(BaseException):
    """The worker wants an execution to end. Not an `Exception`: programs may not swallow it."""


def current():
    """The execution that is running here; none outside of any."""
    return EXECUTION.get()


def follow_threads():
    """Lets threads inherit the execution and DSPy's settings, which plain ones do not."""
    start = threading.Thread.start
    submit = concurrent.futures.ThreadPoolExecutor.submit

    def start_in_context(thread):
        if current() is not None:
            context, run = contextvars.copy_context(), thread.run
            thread.run = lambda: context.run(run)
        return start(thread)

    def submit_in_context(pool, function, /, *args, **kwargs):
        if current() is None:
            return submit(pool, function, *args, **kwargs)
        return submit(pool, contextvars.copy_context().run, function, *args, **kwargs)

    threading.Thread.start = start_in_context
    concurrent.futures.ThreadPoolExecutor.submit = submit_in_context
