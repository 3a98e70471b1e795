"""A process that runs executions of one program, several at once where the program can."""

import asyncio
import ctypes
import faulthandler
import os
import queue
import resource
import signal
import sys
import threading
import traceback

from . import bridge, clients, hops, once, outcome, program, scope, wire
from .bell import Bell
from .desk import Desk
from .execution import Execution
from .settings import Settings, configure_in_place
from .tray import Tray

# How many executions run at once, if the program does not say. Most of their time they wait for a
# model: fewer would leave slots of the worker empty, and waiting costs a thread no more than memory.
SLOTS = 128
STACK_BYTES = 1 << 20
# How many a loop may have been given that it has not begun. The others wait at the worker, for the
# process that comes to them first: the loop begins some while it is sent more.
AHEAD = 4
# The first that lets others make the calls of its models.
OLDEST_DSPY = (3, 4)
GROWTH_BYTES = 16 << 20
PAGE_BYTES = resource.getpagesize()
# Linux counts kilobytes, and macOS bytes.
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
KILLED_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Child:
    """The executions of this process, and what they share."""

    def __init__(self, link, init, loaded, shape, engine):
        self.link = link
        self.send = link.send_frame
        self.pid = os.getpid()
        self.init = init
        self.program = loaded
        self.shape = shape
        self.engine = engine
        self.desk = engine.desk = Desk(link)
        self.executions = {}
        self.size = Size()
        self.told_rss = self.size.bytes()
        self.loop = self.bell = None
        self.jobs = queue.SimpleQueue()
        self.threads = 0
        self.busy = self.begun = 0
        declared = init["concurrency"]
        self.slots = declared or SLOTS
        self.lock = threading.Lock()
        self.is_alone = declared is None and not shape.is_async

    def serve(self):
        """Runs what comes until the worker has enough of it."""
        threading.Thread(target=self._listen, name="dspyx-link", daemon=True).start()
        if self.shape.is_async:
            asyncio.run(self._loop())
        else:
            self.threads = 1
            self._work()

    # What the worker says.

    def _listen(self):
        while (message := self.link.receive()) is not None:
            kind = message["type"]
            if kind == "execute":
                self._accept(message)
            elif kind == "cancel":
                execution = self.executions.get(message["run"])
                if execution is not None:
                    execution.cancel(self.loop)
            elif kind == "lm_response":
                self.desk.answer(message["call"], message["body"])
            elif kind == "lm_error":
                self.desk.answer(message["call"], bridge.error_of(message))
            elif kind == "ping":
                self.link.send("pong", rss_bytes=self.size.bytes(), running=len(self.executions))
            elif kind == "shutdown":
                break
        # The worker is gone, or has enough: nothing here, nor what it started, goes on.
        os.killpg(0, signal.SIGKILL)

    def _accept(self, message):
        execution = Execution(self.link, message)
        self.executions[execution.run] = execution
        self.desk.alone(execution if len(self.executions) == 1 else None)
        if self.loop is not None:
            self.bell.call(self._start, execution)
            return
        with self.lock:
            self.busy += 1
            grow = not self.is_alone and self.busy > self.threads and self.threads < self.slots
            self.threads += grow
        if grow:
            threading.Thread(target=self._work, name="dspyx-work", daemon=True).start()
        self.jobs.put(execution)

    def _tell_growth(self):
        """Tells how large this process is, when it has grown: the next execution may be too much."""
        if not self.size.may_exceed(self.told_rss + GROWTH_BYTES):
            return
        now = self.size.bytes()
        if now > self.told_rss + GROWTH_BYTES:
            self.told_rss = now
            self.link.send("pong", rss_bytes=now, running=len(self.executions))

    def _close(self, execution, kind, /, **fields):
        if os.getpid() != self.pid:
            # A copy that the program has forked: only the original speaks.
            os._exit(0)
        execution.leave()
        self.executions.pop(execution.run, None)
        left = list(self.executions.values())
        self.desk.alone(left[0] if len(left) == 1 else None)
        # First, so that the worker knows it before it gives the seat to another.
        self._tell_growth()
        try:
            self.send(wire.encode(kind, {"run": execution.run, **fields}))
        except wire.TooLarge as error:
            said = f"the outputs are too large: {error}"
            execution.say("error", kind="program", name="TooLarge", message=said)

    # Programs that are asynchronous: one loop for all.

    async def _loop(self):
        self.loop = asyncio.get_running_loop()
        self.bell, tray = Bell(self.loop), Tray(self.link, self.loop)
        self.send = tray.put
        self.desk.in_loop(self.loop, self.bell, tray)
        self.ready()
        await asyncio.Event().wait()

    def _start(self, execution):
        if self.begun == 0:
            self.loop.call_soon(self._tell_begun)
        self.begun += 1
        execution.task = self.loop.create_task(self._run_async(execution))
        execution.task.add_done_callback(lambda _: self._close_unbegun(execution))
        if execution.is_cancelled:
            execution.task.cancel()

    def _tell_begun(self):
        begun, self.begun = self.begun, 0
        self.send(wire.encode("begun", {"runs": begun}))

    def _close_unbegun(self, execution):
        """A task that is cancelled before its first step never takes any."""
        if execution.run in self.executions:
            self._close(execution, "cancelled")

    async def _run_async(self, execution):
        scope.EXECUTION.set(execution)
        try:
            with Settings(execution, self.init) as usage:
                returned = await self.program.acall(**self._inputs(execution))
            message = _result(returned, execution, usage)
        except (scope.Cancelled, asyncio.CancelledError):
            self._close(execution, "cancelled")
        except BaseException as error:
            self._fail(execution, error)
        else:
            self._close(execution, "result", **message)

    # Programs that are not: a thread for each, the main thread first.

    def _work(self):
        if threading.current_thread() is threading.main_thread():
            self.ready()
        while True:
            execution = self.jobs.get()
            try:
                self._run(execution)
            except scope.Cancelled:
                # It came too late for the execution that it was meant for.
                if execution.run in self.executions:
                    self._close(execution, "cancelled")
            finally:
                with self.lock:
                    self.busy -= 1

    def _run(self, execution):
        token = scope.EXECUTION.set(execution)
        before = _attributes(self.program) if self.is_alone else None
        try:
            execution.enter()
            with Settings(execution, self.init) as usage:
                returned = self.program(**self._inputs(execution))
            message = _result(returned, execution, usage)
        except scope.Cancelled:
            self._close(execution, "cancelled")
        except BaseException as error:
            self._fail(execution, error)
        else:
            self._close(execution, "result", **message)
        finally:
            scope.EXECUTION.reset(token)
            if before is not None:
                self._decide(before)

    def _decide(self, before):
        """After the first execution: whether several may share the program's objects."""
        changed = sorted(
            name for name, it in _attributes(self.program).items() if before.get(name) != it
        )
        if changed:
            self.slots = 1
            self.link.send("alone", reason=f"forward sets {', '.join(changed[:5])}")
        with self.lock:
            self.is_alone = False
            waiting = 0 if changed else min(self.busy - 1, self.slots - 1)
            self.threads += waiting
        for _ in range(waiting):
            threading.Thread(target=self._work, name="dspyx-work", daemon=True).start()

    # What both share.

    def ready(self):
        manifest, slots = self.shape.manifest(), self.slots
        ahead = AHEAD if self.shape.is_async else None
        fields = {"manifest": manifest, "concurrency": slots, "ahead": ahead}
        self.link.send("ready", pid=os.getpid(), **fields)

    def _inputs(self, execution):
        missing = self.shape.missing(execution.inputs)
        unknown = self.shape.unknown(execution.inputs)
        if missing or unknown:
            raise BadInputs(missing, [(it, "is no input of this program") for it in unknown])
        try:
            return self.shape.convert(execution.inputs)
        except ValueError as error:
            raise BadInputs([], _mistyped(error, execution.inputs)) from None

    def _fail(self, execution, error):
        if isinstance(error, BadInputs):
            fields = {"missing": error.missing, "mistyped": error.mistyped}
            said = outcome.error_of(error, False) | {"kind": "inputs", "inputs": fields}
        else:
            said = outcome.error_of(error, execution.is_debug)
        self._close(execution, "error", **said)


def _result(returned, execution, usage):
    totals = usage.get_total_tokens() if execution.direct else {}
    return {
        "outputs": outcome.outputs_of(returned),
        "completions": outcome.completions_of(returned),
        "usage": {model: _used(it) for model, it in totals.items() if model in execution.direct},
    }


def _used(total):
    """What was used of a model, and how much of it the provider had in a cache of its own."""
    cached = (total.get("prompt_tokens_details") or {}).get("cached_tokens")
    return total | {"cached_tokens": cached or 0}


class BadInputs(Exception):
    """Inputs that the program cannot be called with."""

    def __init__(self, missing, mistyped):
        super().__init__("the inputs do not fit")
        self.missing = missing
        self.mistyped = [{"pointer": f"/{name}", "message": text} for name, text in mistyped]


def _mistyped(error, inputs):
    """The place and the words of pydantic's first complaint."""
    errors = error.errors() if hasattr(error, "errors") else []
    said = errors[0]["msg"] if errors else str(error)
    return [(next(iter(inputs), ""), said)]


def _attributes(module):
    """What a program's objects hold, to see whether running changes them."""
    found = {}
    for path, part in [("self", module), *module.named_sub_modules()]:
        for name, value in vars(part).items():
            if name not in ("history", "callbacks", "_compiled"):
                found[f"{path}.{name}"] = id(value)
    return found


class Size:
    """How large this process is, by a file that stays open: it is asked after each execution."""

    def __init__(self):
        try:
            self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._statm = None

    def may_exceed(self, size_bytes):
        """Whether it may be larger than that: it is not if it never was, which is known sooner."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES > size_bytes

    def bytes(self):
        if self._statm is None:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES
        return int(os.pread(self._statm, 128, 0).split()[1]) * PAGE_BYTES


def prepare(limits):
    """Bounds what this process may take, and ties its life to its parent's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(KILLED_WITH_PARENT, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, wanted, beyond in (
        (resource.RLIMIT_DATA, limits.get("memory_bytes"), 0),
        # The first limit ends it by a signal of its own, which tells why; the second kills it.
        (resource.RLIMIT_CPU, limits.get("cpu_seconds"), 1),
    ):
        if wanted:
            _, hard = resource.getrlimit(name)
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - beyond)
            resource.setrlimit(name, (most, most + beyond))
    threading.stack_size(STACK_BYTES)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True, chain=False)


def main(link, init, loaded):
    """The life of a child, after the fork. Never returns."""
    prepare(init["limits"])
    try:
        if loaded is None:
            loaded = start(init)
        engine, instance, shape = loaded
        child = Child(link, init, instance, shape, engine)
    except BaseException as error:
        link.send("init_failed", **failure(error))
        os._exit(1)
    try:
        child.serve()
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def start(init):
    """Imports DSPy and the program."""
    import dspy

    version = dspy.__version__
    if tuple(int(it) for it in version.split(".")[:2]) < OLDEST_DSPY:
        oldest = ".".join(map(str, OLDEST_DSPY))
        raise program.LoadError(
            f"DSPy {version} is too old: {oldest} or newer is needed; install it with "
            f"`{sys.executable} -m pip install -U dspy`"
        )
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    engine = bridge.Bridge(init["prefixes"])
    engine.install()
    clients.install(engine, init)
    once.remember()
    hops.leave_out(engine)
    scope.follow_threads()
    configure_in_place()
    instance = program.load(init["program"])
    return engine, instance, program.Shape(dspy, instance)


def failure(error):
    """Why a program cannot be loaded, for people."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, program.LoadError):
        said = str(error)
    elif isinstance(error, ModuleNotFoundError):
        package = (error.name or "").split(".")[0]
        said += f"; install it with `{sys.executable} -m pip install {package}`"
    elif isinstance(error, SystemExit):
        said = f"the program ends the process while it is loaded (exit code {error.code})"
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"message": said, "traceback": text[-outcome.TRACEBACK_CHARS_MAX :]}
