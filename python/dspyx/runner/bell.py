"""Wakes a loop from another thread, once for all that came in the meantime."""

import collections


class Bell:
    """What a loop is to do next. `call_soon_threadsafe` writes to a pipe for each; this for the first."""

    def __init__(self, loop):
        self._loop = loop
        self._due = collections.deque()
        self._is_rung = False

    def call(self, function, *args):
        """Has the loop call a function, in the order in which they come here."""
        self._due.append((function, args))
        if not self._is_rung:
            self._is_rung = True
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self):
        # First: what comes from here on rings again, and at worst for nothing.
        self._is_rung = False
        while self._due:
            function, args = self._due.popleft()
            function(*args)
