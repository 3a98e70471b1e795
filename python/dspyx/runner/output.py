"""What a program prints, as log lines of the execution that printed it; bounded."""

import io
import sys

from . import scope

LINE_CHARS_MAX = 4096
LINES_MAX = 1000


class Lines(io.TextIOBase):
    """A text stream in the place of `sys.stdout` or `sys.stderr`.

    Inside an execution whole lines go to the worker; outside, the text goes where it always went.
    """

    def __init__(self, name, behind):
        self.name = name
        self._behind = behind

    @property
    def encoding(self):
        return "utf-8"

    def writable(self):
        return True

    def fileno(self):
        return self._behind.fileno()

    def isatty(self):
        return False

    def flush(self):
        self._behind.flush()

    def write(self, text):
        execution = scope.current()
        if execution is None:
            return self._behind.write(text)
        execution.print(self.name, text)
        return len(text)


class Page:
    """The lines of one stream of one execution."""

    def __init__(self, say):
        self._say = say
        self._rest = ""
        self._count = 0

    def write(self, text):
        if self._count > LINES_MAX:
            return
        *lines, rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)
        # A line that does not end is cut, or it would grow without bound.
        self._rest = rest[:LINE_CHARS_MAX]

    def _line(self, line):
        self._count += 1
        if self._count > LINES_MAX:
            self._say(f"(more than {LINES_MAX} lines: the rest is left out)")
        elif self._count <= LINES_MAX:
            self._say(line if len(line) <= LINE_CHARS_MAX else line[:LINE_CHARS_MAX] + "…")

    def end(self):
        if self._rest and self._count < LINES_MAX:
            self._line(self._rest)
        self._rest = ""


def install():
    """Puts the streams in their places, before anything can keep the old ones."""
    sys.stdout = Lines("stdout", sys.stdout)
    sys.stderr = Lines("stderr", sys.stderr)
