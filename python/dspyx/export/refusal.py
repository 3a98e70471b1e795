"""What is said when a program cannot be exported."""

from __future__ import annotations

# Stands for where the program is, which who says it knows.
SOURCE = "{type: local, path: …, class_name: …}"

RUN_PYTHON = (
    f"or leave it in Python: `source: {SOURCE}` in a program file runs it in the python runtime"
)


class Refusal(Exception):
    """A part of the program that the native engine would not run exactly."""

    def __init__(self, part: str, problem: str, fix: str) -> None:
        super().__init__(f"{part}: {problem}\n  fix: {fix.removeprefix('or ')}")


class Mistake(Exception):
    """A target or an option that is wrong: the command line's fault, not the program's."""
