"""A bar for batches: tqdm's where it is installed, a plain line elsewhere, nothing without eyes."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

# How often the plain line is written anew.
EVERY_SECONDS = 0.2


class Progress:
    """A bar of a batch; quiet if nobody looks."""

    def __init__(self, total: int, name: str, is_shown: bool | None) -> None:
        self._total, self._name = total, name
        self._done = self._failed = 0
        self._shown_at = 0.0
        self._began = time.monotonic()
        self._bar: Any = None
        self._is_plain = False
        if is_shown or is_shown is None and _is_watched():
            self._open()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._is_plain:
            self._write("\n")

    def advance(self, is_success: bool) -> None:
        """One more has ended."""
        self._done += 1
        self._failed += not is_success
        if self._bar is not None:
            if not is_success:
                self._bar.set_postfix(failed=self._failed, refresh=False)
            self._bar.update()
        elif self._is_plain:
            now = time.monotonic()
            if now - self._shown_at >= EVERY_SECONDS or self._done == self._total:
                self._shown_at = now
                self._write("")

    def _open(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._is_plain = True
        else:
            self._bar = tqdm(total=self._total, desc=self._name)

    def _write(self, end: str) -> None:
        seconds = time.monotonic() - self._began
        rate = self._done / seconds if seconds > 0 else 0.0
        failed = f", {self._failed} failed" if self._failed else ""
        text = f"\r{self._name}: {self._done}/{self._total}{failed}, {rate:.0f}/s{end}"
        sys.stderr.write(text)
        sys.stderr.flush()


def _is_watched() -> bool:
    """Whether standard error is a terminal, or this is a notebook."""
    kernel = sys.modules.get("ipykernel")
    return kernel is not None or bool(sys.stderr and sys.stderr.isatty())
