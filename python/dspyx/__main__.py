"""`python -m dspyx` is the command `dspyx`."""

from __future__ import annotations

import os
import sys

from .binary import find


def main() -> None:
    binary = find()
    os.execv(binary, [binary, *sys.argv[1:]])


main()
