"""Where the command `dspyx` is: the wheel brings it, and puts it beside the interpreter."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path


def find() -> str:
    """The path of the command: what DSPYX_BINARY names, what the wheel brought, or of the PATH."""
    named = os.environ.get("DSPYX_BINARY")
    if named:
        return named
    for folder in _folders():
        path = folder / "dspyx"
        if os.access(path, os.X_OK):
            return str(path)
    of_path = shutil.which("dspyx")
    if of_path is None:
        raise FileNotFoundError(
            "there is no command `dspyx`: install the package again (`pip install --force-reinstall "
            "dspyx`), or name the command in DSPYX_BINARY"
        )
    return of_path


def _folders() -> Iterator[Path]:
    yield Path(sysconfig.get_path("scripts"))
    yield Path(sysconfig.get_path("scripts", f"{os.name}_user"))
    # Of `pip install --target`.
    yield Path(__file__).parent.parent / "bin"
