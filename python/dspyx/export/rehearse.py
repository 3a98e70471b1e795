"""Runs the program in both runtimes, with the same inputs and the same replies, and compares what
they ask and what they make of it. What differs is a refusal."""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import dspy
import pydantic

from .refusal import RUN_PYTHON, Mistake, Refusal
from .sample import sample
from .value import plain

_COMPARED = ("temperature", "max_tokens", "top_p", "seed", "stop")
_NATIVE_TIMEOUT_SECONDS = 60


def prove(module: Any, text: str, binary: str, given: dict[str, Any] | None) -> int:
    """Rehearses the file `text` against the live module; how many requests were compared."""
    signature = signature_of(module)
    if given is not None:
        rounds = [_typed(signature, given)]
    else:
        rounds = [inputs_of(signature, awkward=awkward) for awkward in (False, True)]
    compared = 0
    for awkward, inputs in enumerate(rounds):
        played = play(module, inputs, awkward=bool(awkward))
        native = _native(text, binary, inputs, played, _tools(module))
        compared += _compare(played, native)
    return compared


class Played:
    """What the program asked in Python, what it was told, and what it made of that."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.replies: list[str] = []
        self.outputs: dict[str, Any] = {}


class _Script(dspy.LM):
    """A model that says what fits, and keeps what it was asked."""

    def __init__(self, played: Played, awkward: bool, lm: Any) -> None:
        kwargs = dict(lm.kwargs) if lm else {}
        super().__init__(lm.model if lm else "openai/unknown", cache=False, **kwargs)
        self._played, self._awkward = played, awkward

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> list[str]:
        settings = {**self.kwargs, **kwargs}
        request = {it: settings[it] for it in _COMPARED if settings.get(it) is not None}
        request["messages"] = messages
        request["response_format"] = bool(settings.get("response_format"))
        replies = [self._reply() for _ in range(settings.get("n") or 1)]
        self._played.requests += [request] * len(replies)
        self._played.replies += replies
        return replies

    def _reply(self) -> str:
        predictor = dspy.settings.caller_modules[-1]
        outputs = predictor.signature.output_fields.items()
        values = {
            name: sample(it.annotation, name, awkward=self._awkward and name != "next_tool_name")
            for name, it in outputs
        }
        if "next_tool_name" in values:
            values["next_tool_args"] = {}
        adapter = dspy.settings.adapter or dspy.ChatAdapter()
        if isinstance(adapter, dspy.TwoStepAdapter):
            adapter = dspy.ChatAdapter()
        return adapter.format_assistant_message_content(predictor.signature, values)


def play(module: Any, inputs: dict[str, Any], *, awkward: bool) -> Played:
    """Runs the module in Python against replies that fit."""
    played = Played()
    models = [it.lm for _, it in module.named_predictors()]
    script = _Script(played, awkward, models[0] or dspy.settings.lm)
    actor = module.deepcopy()
    actor.set_lm(script)
    adapter = dspy.settings.adapter
    if isinstance(adapter, dspy.TwoStepAdapter):
        adapter = dspy.TwoStepAdapter(_Script(played, awkward, adapter.extraction_model))
    with dspy.context(lm=script, adapter=adapter, callbacks=[], warn_on_type_mismatch=False):
        prediction = actor(**inputs)
    played.outputs = {name: plain(it, name) for name, it in prediction.toDict().items()}
    return played


def _tools(module: Any) -> list[dict[str, Any]]:
    """The tools of an agent, as the native engine is told of them; `finish` is its own."""
    own = list(getattr(module, "tools", {}).values())[:-1]
    return [
        {
            "name": it.name,
            "desc": it.desc or "",
            "args": plain(it.args or {}, f"the tool `{it.name}`"),
            "has_kwargs": it.has_kwargs,
        }
        for it in own
    ]


def _native(
    text: str,
    binary: str,
    inputs: dict[str, Any],
    played: Played,
    tools: list[dict[str, Any]],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.yaml").write_text(text, encoding="utf-8")
        given = {name: plain(it, f"the input `{name}`") for name, it in inputs.items()}
        (folder / "inputs.json").write_text(json.dumps(given))
        (folder / "replies.json").write_text(json.dumps(played.replies))
        (folder / "tools.json").write_text(json.dumps(tools))
        command = [binary, "programs", "render", "program.yaml", "--json"]
        command += ["--inputs", "@inputs.json", "--replies", "@replies.json"]
        command += ["--tools", "@tools.json"]
        try:
            ran = subprocess.run(
                command, cwd=folder, capture_output=True, timeout=_NATIVE_TIMEOUT_SECONDS
            )
        except OSError as error:
            raise Mistake(f"cannot run {binary}: {error}") from None
    if ran.returncode != 0:
        said = _error(ran.stderr.decode("utf-8", "replace").strip())
        raise Refusal("the native engine", f"it refuses the program: {said}", RUN_PYTHON)
    return json.loads(ran.stdout)


def _error(text: str) -> str:
    """What an error says, of the binary's JSON."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text


def _compare(played: Played, native: dict[str, Any]) -> int:
    pairs = itertools.zip_longest(played.requests, native["requests"])
    for number, (asked, request) in enumerate(pairs, 1):
        if asked is None or request is None:
            there = "Python" if request is None else "the native engine"
            raise _different(f"request {number}", f"only {there} asks it")
        _compare_messages(number, asked["messages"], request["messages"])
        for name in _COMPARED:
            here, there = asked.get(name), request["settings"].get(name)
            if here != there and [here] != there:
                raise _different(f"request {number}", f"{name} is {here!r} and {there!r}")
        if asked["response_format"] != bool(request.get("response_format")):
            raise _different(f"request {number}", "only one has a response_format")
    if played.outputs != native["outputs"]:
        outputs = native["outputs"] if native["outputs"] is not None else native["error"]
        raise _different("the outputs", f"{played.outputs!r} and {outputs!r}")
    return len(played.requests)


def _compare_messages(number: int, here: list[Any], there: list[Any]) -> None:
    if len(here) != len(there):
        raise _different(f"request {number}", f"{len(here)} and {len(there)} messages")
    for at, (ours, theirs) in enumerate(zip(here, there, strict=True), 1):
        if all(ours.get(it) == theirs.get(it) for it in ours.keys() | theirs.keys()):
            continue
        lines = itertools.zip_longest(_lines(ours), _lines(theirs), fillvalue="")
        first = next((pair for pair in lines if pair[0] != pair[1]), ("", ""))
        raise _different(f"request {number}, message {at}", f"{first[0]!r} and {first[1]!r}")


def _lines(message: dict[str, Any]) -> list[str]:
    content = message.get("content")
    text = content if isinstance(content, str) else json.dumps(message, sort_keys=True)
    return [message["role"], *text.split("\n")]


def _different(part: str, how: str) -> Refusal:
    return Refusal(
        part,
        f"it differs between Python and the native engine: {how}",
        f"please report it; {RUN_PYTHON}",
    )


def signature_of(module: Any) -> Any:
    """What the module takes."""
    if isinstance(module, dspy.BestOfN):
        return signature_of(module.module)
    return module.predict.signature if isinstance(module, dspy.ChainOfThought) else module.signature


def inputs_of(signature: Any, *, awkward: bool) -> dict[str, Any]:
    """Inputs that fit."""
    fields = signature.input_fields.items()
    return {name: sample(it.annotation, name, awkward=awkward) for name, it in fields}


def _typed(signature: Any, given: dict[str, Any]) -> dict[str, Any]:
    unknown = given.keys() - signature.input_fields.keys()
    if unknown:
        raise Mistake(f"--inputs has `{sorted(unknown)[0]}`, which is no input of the program")
    try:
        return {
            name: pydantic.TypeAdapter(signature.input_fields[name].annotation).validate_python(it)
            for name, it in given.items()
        }
    except pydantic.ValidationError as error:
        raise Mistake(f"--inputs does not fit: {error}") from None
