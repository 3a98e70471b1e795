"""Writes a program file. A subset of YAML 1.2 that any reader takes alike: what is not plainly a
word is quoted as JSON quotes it."""

from __future__ import annotations

import json
import re
from typing import Any

# A word that no reader of YAML 1.1 or 1.2 takes for a number, a date, a truth value or null.
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ ./+-][A-Za-z0-9_]+)*\Z")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\Z")
_NOT_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
# Lines that a literal block keeps as they are.
_LINE = re.compile(r"(?:[!-~\u00a1-\u1fff][ -~\u00a1-\u1fff]*(?<! ))?\Z")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


class Flow(dict[str, Any]):
    """A mapping that is written on one line, as JSON."""


def document(value: dict[str, Any], *, head: str = "") -> str:
    """The text of a document, with comment lines before it."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    return comment + "\n".join(_lines(value, 0)) + "\n"


def _lines(value: dict[str, Any], depth: int) -> list[str]:
    lines: list[str] = []
    for key, item in value.items():
        lines += _entry(f"{'  ' * depth}{_scalar(key, depth)}:", item, depth)
    return lines


def _entry(start: str, item: Any, depth: int) -> list[str]:
    if isinstance(item, dict) and item and not isinstance(item, Flow):
        return [start, *_lines(item, depth + 1)]
    if isinstance(item, list) and any(isinstance(it, dict) for it in item):
        return [start, *(line for it in item for line in _item(it, depth + 1))]
    return [f"{start} {_scalar(item, depth + 1)}"]


def _item(item: Any, depth: int) -> list[str]:
    if not isinstance(item, dict) or not item or isinstance(item, Flow):
        return [f"{'  ' * depth}- {_scalar(item, depth + 1)}"]
    lines = _lines(item, depth + 1)
    return [f"{'  ' * depth}- {lines[0].lstrip(' ')}", *lines[1:]]


def _scalar(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return _text(value, depth)
    return _quoted(value)


def _text(text: str, depth: int) -> str:
    if len(text) <= 80 and _WORD.match(text) and text.lower() not in _NOT_WORDS:
        return text
    if _VERSION.match(text):
        return text
    lines = text.split("\n")
    if len(lines) > 1 and lines[0] and lines[-1] and all(_LINE.match(it) for it in lines):
        pad = "\n" + "  " * depth
        return "|-" + "".join(pad + it if it else "\n" for it in lines)
    return _quoted(text)


def _quoted(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNPRINTABLE.sub(lambda it: f"\\u{ord(it[0]):04x}", text)
