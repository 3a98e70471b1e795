"""`dspyx export`: the command line."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

# Else DSPy's client asks the network for prices when it is first used.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

_DSPY = "3.4.1"


def main() -> int:
    """Exports, and gives the exit code: 0 done, 1 refused, 2 the command line is wrong."""
    options = _options()
    # What the program's code prints is not part of the file.
    with contextlib.redirect_stdout(sys.stderr):
        code, text = _answer(options)
    if text and options.output is None and not options.check:
        sys.stdout.write(text)
    return code


def _answer(options: argparse.Namespace) -> tuple[int, str]:
    """The exit code, and the program file if there is one."""
    try:
        import dspy
    except ModuleNotFoundError as error:
        _say(f"error: {sys.executable} has no `{error.name}`: pip install dspy=={_DSPY}, or name "
             "another interpreter with --python")
        return 2, ""
    from . import refusal as refusals
    from .refusal import Mistake, Refusal

    try:
        return 0, _export(options, dspy.__version__)
    except Refusal as refusal:
        said = str(refusal).replace(refusals.SOURCE, _source(options.target))
        _say(f"error: {options.target} cannot run natively\n  {said}")
        return 1, ""
    except Mistake as mistake:
        _say(f"error: {mistake}")
        return 2, ""
    except Exception:
        # Mostly the program's own code: its author wants to see where.
        _say(f"{traceback.format_exc()}\nerror: {options.target} could not be loaded or run")
        return 1, ""


def _export(options: argparse.Namespace, dspy_version: str) -> str:
    from . import find, rehearse, walk, yaml
    from .refusal import Mistake

    program = walk.Program(tools=_tools(options.tools))
    module = find.find(options.target, allow_pickle=options.allow_pickle)
    made = program.document(module)
    _warn_of_keys(module, options.target, program.report)
    if dspy_version != _DSPY:
        program.report.warn(f"this is DSPy {dspy_version}; the native engine is DSPy {_DSPY}")
    head = {"name": options.name or _name(module, options.target), "version": options.version}
    if options.description:
        head["description"] = options.description
    text = yaml.document({**head, **made}, head=f"Exported from {options.target}.")
    if not options.binary:
        raise Mistake("there is no `dspyx` on the PATH to compare with; say --binary")
    compared = rehearse.prove(module, text, options.binary, options.inputs)
    for line in program.report.warnings:
        _say(f"warning: {line}")
    for line in program.report.notes:
        _say(f"note: {line}")
    if options.output and not options.check:
        _write(options.output, text)
    _say(f"{head['name']}: the same {compared} requests and outputs in Python and natively")
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dspyx export", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--name")
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--description")
    parser.add_argument("--tools", type=Path)
    parser.add_argument("--inputs", type=_json)
    parser.add_argument("--allow-pickle", action="store_true")
    parser.add_argument("--binary", default=shutil.which("dspyx"))
    return parser.parse_args()


def _json(text: str) -> dict[str, Any]:
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _tools(path: Path | None) -> dict[str, Any]:
    """The tools of a file: its `tools`, or the whole of it."""
    if path is None:
        return {}
    import yaml

    from .refusal import Mistake

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise Mistake(f"cannot read {path}: {error}") from None
    tools = read.get("tools", read) if isinstance(read, dict) else None
    if not isinstance(tools, dict) or not tools:
        raise Mistake(f"{path} must hold `tools: {{name: {{mcp: …}}}}`")
    return tools


def _source(target: str) -> str:
    """The target as the `source` of a program file."""
    path, colon, name = target.rpartition(":")
    if target.startswith("mlflow:"):
        return f"{{type: mlflow, uri: '{target.removeprefix('mlflow:')}'}}"
    if colon and path.endswith(".py"):
        return f"{{type: local, path: {path}, class_name: {name}}}"
    return "{type: local, path: …}"


def _name(module: Any, target: str) -> str:
    """An id: the name in the target, or the class's."""
    word = target.rpartition(":")[2] if ":" in target else Path(target).name
    if target.startswith("mlflow:"):
        # models:/NAME/3, models:/NAME@alias, runs:/ID/NAME; of models:/m-ID, the class's.
        kind, *parts = target.removeprefix("mlflow:").split("@")[0].rstrip("/").split("/")
        word = parts[-1] if kind == "runs:" else parts[0]
        word = "" if word.startswith("m-") and len(parts) == 1 else word
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", word.rpartition(".")[2]).lower()
    kebab = re.sub(r"[^a-z0-9-]+", "-", kebab).strip("-")
    return kebab or type(module).__name__.lower()


def _warn_of_keys(module: Any, target: str, report: Any) -> None:
    """A pickle keeps the keys of its models in clear."""
    import dspy

    from .find import is_pickle

    models = [it.lm for _, it in module.named_predictors()] + [dspy.settings.lm]
    if is_pickle(target) and any(getattr(it, "kwargs", {}).get("api_key") for it in models):
        report.warn(f"{target} holds an API key in clear; who can read it has the key")


def _write(output: Path, text: str) -> None:
    # Whole or not at all: a server may be watching the folder.
    beside = output.with_name(f".{output.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(output)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
