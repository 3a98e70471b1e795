"""What an execution came to, in the words of the wire."""

import dataclasses
import datetime
import enum
import traceback

TRACEBACK_CHARS_MAX = 20_000
MESSAGE_CHARS_MAX = 20_000


class NotJson(Exception):
    """An output that JSON cannot hold."""


def outputs_of(returned):
    """What a program returned, as an object of JSON's."""
    if hasattr(returned, "toDict"):
        returned = {name: returned[name] for name in returned.keys()}
    elif not isinstance(returned, dict):
        returned = {"output": returned}
    return {str(name): to_json(value, str(name)) for name, value in returned.items()}


def completions_of(returned):
    """All completions of a prediction that has several."""
    completions = getattr(returned, "completions", None) if hasattr(returned, "toDict") else None
    if completions is None or len(completions) < 2:
        return []
    return [outputs_of(completions[index]) for index in range(len(completions))]


def to_json(value, name):
    """A value as JSON. What JSON cannot write stands as text: `NaN`, `Infinity`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return to_json(value.value, name)
    if isinstance(value, str):
        return _text(str(value), name)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, dict):
        return {_key(key, name): to_json(it, f"{name}.{key}") for key, it in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(it, f"{name}[{index}]") for index, it in enumerate(value)]
    return _object(value, name)


def _text(value, name):
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson(f"output `{name}` is text that is no Unicode") from None
    return value


def _number(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _key(key, name):
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (str, int, float)):
        return str(key)
    raise NotJson(f"output `{name}` has a key of type {type(key).__name__}, which JSON cannot hold")


def _object(value, name):
    if hasattr(value, "toDict"):
        return {str(key): to_json(value[key], f"{name}.{key}") for key in value.keys()}
    if hasattr(value, "model_dump"):
        return to_json(value.model_dump(mode="json"), name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json(dataclasses.asdict(value), name)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    try:
        from pydantic_core import to_jsonable_python

        return to_json(to_jsonable_python(value), name)
    except Exception:
        kind = type(value).__name__
        raise NotJson(f"output `{name}` is of type {kind}, which JSON cannot hold") from None


def error_of(error, with_traceback):
    """The `error` message for an exception, without its type and run."""
    from dspy.utils.exceptions import AdapterParseError, LMError

    said = _cut(str(error), MESSAGE_CHARS_MAX)
    name = type(error).__name__
    found = {"kind": "program", "name": name, "message": f"{name}: {said}" if said else name}
    if isinstance(error, NotJson):
        found["message"] = said
    elif isinstance(error, LMError):
        found |= {
            "kind": "lm",
            "message": error.message or said,
            "code": "budget_exceeded" if error.provider_code == "budget_exceeded" else error.code,
            "status": error.status,
            "retry_after_seconds": error.retry_after,
        }
    elif isinstance(error, AdapterParseError):
        found |= {"kind": "parse", "parse": _parse(error)}
    elif isinstance(error, MemoryError):
        found["message"] = "the program needs more memory than it may have (MemoryError)"
    elif isinstance(error, ModuleNotFoundError):
        found["message"] = f"{name}: {said}; install it for the program's interpreter"
    if with_traceback:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        found["traceback"] = text[-TRACEBACK_CHARS_MAX:]
    return found


def _parse(error):
    parsed = error.parsed_result
    before, found, _ = error.message.partition(f"Adapter {error.adapter_name} failed to parse")
    return {
        "adapter": error.adapter_name,
        # Whole: the worker finds the reply that was paid for by it.
        "reply": f"{error.lm_response}",
        "expected": [str(it) for it in error.signature.output_fields],
        "parsed": None if parsed is None else [str(it) for it in parsed],
        "message": before.strip("\n") if found and before.strip() else None,
    }


def _cut(text, most):
    return text if len(text) <= most else text[:most] + "…"
