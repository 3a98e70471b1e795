"""Sends what a loop has for the worker together: each send wakes the worker, which takes longer."""

# How many at most, so that the first need not wait for long.
FRAMES_MAX = 8


class Tray:
    """The frames of one round of a loop. Only the loop's own thread may put any."""

    def __init__(self, link, loop):
        self._loop = loop
        self._link = link
        self._frames = []

    def put(self, frame):
        self._frames.append(frame)
        if len(self._frames) == 1:
            self._loop.call_soon(self.empty)
        elif len(self._frames) >= FRAMES_MAX:
            self.empty()

    def empty(self):
        frames, self._frames = self._frames, []
        if frames:
            self._link.send_frame(b"".join(frames))
