"""Runs programs of a file in Python, as the tests ask: JSON comes in, and JSON goes out.

    run.py FILE prepare < ["name", …]             what to run: inputs, and what the model replies
    run.py FILE run URL < [{name, inputs, state}, …]  the outputs, by a model at a URL
    run.py FILE save < [[name, path], …]          keeps the state of each in a file
    run.py FILE export < [[argument, …], …]       what `dspyx export FILE:argument …` says to each
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import dspy  # noqa: E402
import pydantic  # noqa: E402

from dspyx.export import __main__ as command  # noqa: E402
from dspyx.export import find, rehearse  # noqa: E402
from dspyx.export.value import plain  # noqa: E402


def module(file: str, name: str) -> dspy.Module:
    dspy.configure(lm=None, adapter=None)
    return find.find(f"{file}:{name}", allow_pickle=False)


def prepare(file: str, names: list[str]) -> list[dict[str, Any]]:
    """Two rounds for each: easy values, and awkward ones."""
    rounds = []
    for name in names:
        for awkward in (False, True):
            program = module(file, name)
            inputs = rehearse.inputs_of(rehearse.signature_of(program), awkward=awkward)
            played = rehearse.play(program, inputs, awkward=awkward)
            given = {field: plain(it, field) for field, it in inputs.items()}
            rounds.append({"name": name, "inputs": given, "replies": played.replies})
    return rounds


def run(file: str, url: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of each, or the name of the error."""
    ended = []
    for job in jobs:
        program = module(file, job["name"])
        if "state" in job:
            program.load(job["state"])
        lm = dspy.LM("openai/stub", api_base=url, api_key="x", cache=False, num_retries=0)
        fields = rehearse.signature_of(program).input_fields
        inputs = {
            name: pydantic.TypeAdapter(fields[name].annotation).validate_python(it)
            for name, it in job["inputs"].items()
        }
        if isinstance(dspy.settings.adapter, dspy.TwoStepAdapter):
            second = dspy.settings.adapter
            elsewhere = {"api_base": url.replace("/v1", "/elsewhere")}
            settings = {**second.extraction_model.kwargs, **elsewhere}
            second.extraction_model = lm.copy(**settings)
        with dspy.context(lm=lm):
            try:
                made = {name: plain(it, name) for name, it in program(**inputs).toDict().items()}
                ended.append({"outputs": made})
            except dspy.utils.exceptions.AdapterParseError:
                ended.append({"error": "parse_error"})
    return ended


def save(file: str, jobs: list[list[str]]) -> None:
    """Keeps the states of programs."""
    for name, path in jobs:
        module(file, name).save(path)


def export(file: str, calls: list[list[str]]) -> list[dict[str, Any]]:
    """As the command does it, in one process: to load DSPy anew for each takes a second."""
    said = []
    for target, *arguments in calls:
        dspy.configure(lm=None, adapter=None)
        sys.argv = ["dspyx export", target if ":" in target else f"{file}:{target}", *arguments]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command.main()
        said.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
    return said


def main() -> None:
    file, what, *rest = sys.argv[1:]
    given = json.load(sys.stdin)
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        done = {
            "prepare": lambda: prepare(file, given),
            "save": lambda: save(file, given),
            "run": lambda: run(file, rest[0], given),
            "export": lambda: export(file, given),
        }[what]()
    json.dump(done, stdout)


main()
