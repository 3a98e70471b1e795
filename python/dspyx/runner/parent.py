"""The warm parent of a program's processes: loads the program once, then forks.

It does nothing else, so that it has one thread when it forks, and answers at once.
"""

import gc
import os
import select
import signal
import socket
import sys

from . import child, output, wire


# As Python has them, where the program sets none; and how many new objects are to be worth a look.
THRESHOLDS = gc.get_threshold()
YOUNG_MAX = 5000


class Parent:
    """The children, and the worker that asks for them."""

    def __init__(self, link):
        self.link = link
        self.init = None
        self.loaded = None
        self.children = {}
        self.poll = select.poll()
        self.poll.register(link.sock, select.POLLIN)

    def serve(self):
        while True:
            for fd, _ in self.poll.poll(None if all(self._pidfds()) else 50):
                if fd == self.link.sock.fileno():
                    self._hear_all()
            self._reap()

    def _pidfds(self):
        return [it["pidfd"] is not None for it in self.children.values()]

    def _hear_all(self):
        if not self._hear():
            self._end()
        while self.link.has_more():
            if not self._hear():
                self._end()

    def _hear(self):
        """Does what the worker says; whether there will be more."""
        message = self.link.receive()
        if message is None or message["type"] == "shutdown":
            return False
        kind = message["type"]
        if kind == "init":
            self._load(message)
        elif kind == "fork":
            self._fork(message["child"], self.link.take_fds())
        else:
            found = self.children.get(message["child"])
            if found is not None and kind == "kill":
                _kill(found["pid"])
            elif found is not None and kind == "dump":
                os.kill(found["pid"], signal.SIGUSR1)
        return True

    def _load(self, init):
        self.init = init
        if init["spawn"]:
            return self.link.send("ready", manifest=None)
        try:
            self.loaded = child.start(init)
            _, _, shape = self.loaded
            warm(shape)
            manifest = shape.manifest()
        except BaseException as error:
            self.link.send("init_failed", **child.failure(error))
            self._end()
        threads = _threads()
        if threads > 1:
            reason = f"it starts {threads - 1} threads while it is loaded"
            self.link.send("cannot_fork", reason=reason)
            self._end()
        # What is here now is never collected, so that its pages stay shared.
        gc.collect()
        gc.freeze()
        if gc.get_threshold() == THRESHOLDS:
            # Of what an execution makes nearly all goes without being looked for.
            gc.set_threshold(YOUNG_MAX, *THRESHOLDS[1:])
        self.link.send("ready", manifest=manifest)

    def _fork(self, number, fds):
        if len(fds) != wire.FDS_MAX:
            for fd in fds:
                os.close(fd)
            return self.link.send("exited", child=number, code=None, signal=None)
        pid = os.fork()
        if pid == 0:
            self._become_child(fds)
        for fd in fds:
            os.close(fd)
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # it has done so itself, or is gone
        found = {"pid": pid, "pidfd": _pidfd(pid)}
        if found["pidfd"] is not None:
            self.poll.register(found["pidfd"], select.POLLIN)
        self.children[number] = found

    def _become_child(self, fds):
        os.setpgid(0, 0)
        self.link.close()
        for found in self.children.values():
            if found["pidfd"] is not None:
                os.close(found["pidfd"])
        sock, out, err = fds
        for fd, place in ((out, 1), (err, 2)):
            os.dup2(fd, place)
            os.close(fd)
        link = wire.Wire(socket.socket(fileno=sock))
        child.main(link, self.init, self.loaded)

    def _reap(self):
        for number, found in list(self.children.items()):
            peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, found["pid"], peek) is None:
                continue
            # What it has started goes with it, before its number is free for another.
            _kill(found["pid"])
            _, status = os.waitpid(found["pid"], 0)
            if found["pidfd"] is not None:
                self.poll.unregister(found["pidfd"])
                os.close(found["pidfd"])
            del self.children[number]
            code = os.waitstatus_to_exitcode(status)
            ended = {"code": code, "signal": None} if code >= 0 else {"code": None, "signal": -code}
            self.link.send("exited", child=number, **ended)

    def _end(self):
        for found in self.children.values():
            _kill(found["pid"])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _kill(pid):
    """Kills a child and all that it has started. Not reaped yet, it cannot be another's pid."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _pidfd(pid):
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _threads():
    """The threads of this process, also those that Python does not know."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def warm(shape):
    """Makes one call against nothing, so that children need not do the first things again."""
    import dspy
    from dspy.utils.dummies import DummyLM

    # The program may have configured an adapter that does not read what DummyLM writes.
    lm, adapter = DummyLM([{"answer": "warm"}]), dspy.ChatAdapter()
    with dspy.context(lm=lm, adapter=adapter, disable_history=True, trace=[]):
        dspy.Predict("question -> answer")(question="warm")
    if shape.is_async:
        import asyncio  # noqa: F401


def main():
    link = wire.adopt_stdin()
    output.install()
    hello = {"protocol": wire.PROTOCOL, "pid": os.getpid(), "python": sys.version.split()[0]}
    try:
        import importlib.metadata

        hello["dspy"] = importlib.metadata.version("dspy")
    except Exception:
        hello["dspy"] = None
    link.send("hello", **hello)
    Parent(link).serve()
