"""Walks a live module, and writes down what it is; or says which part is not DSPy's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dspy

from . import adapter, lm, signature
from .annotation import Types
from .reward import declared
from .refusal import RUN_PYTHON, Refusal
from .report import Report
from .value import plain

_MODULE = {"_compiled", "callbacks", "history"}
_PREDICT = {"stage", "signature", "fields", "config", "lm", "traces", "train", "demos"}
_OWN = {
    dspy.Predict: _PREDICT,
    dspy.ChainOfThought: {"predict"},
    dspy.BestOfN: {"module", "reward_fn", "threshold", "N", "fail_count"},
    dspy.ReAct: {"signature", "max_iters", "tools", "react", "extract"},
}
_CALLS = ("__call__", "acall", "forward", "aforward")
# What to do about DSPy's own modules that are no program by themselves, or run Python.
_OTHERS = {
    "Refine": "its advice is written from Python source; BestOfN with a declared reward is exact",
    "MultiChainComparison": "it compares what another module made; write the file by hand: "
    "`module: {type: multi_chain_comparison, of: chain_of_thought, m: 3}`",
    "ProgramOfThought": "it runs Python",
    "CodeAct": "it runs Python",
    "RLM": "it runs Python",
    "Parallel": "a map of a chain does the same, or a batch: `dspyx batch submit`",
}


@dataclass
class Program:
    """A program as it is written: the parts of its file."""

    types: Types = field(default_factory=Types)
    report: Report = field(default_factory=Report)
    tools: dict[str, Any] = field(default_factory=dict)

    def document(self, module: Any) -> dict[str, Any]:
        """The parts of the file that the module makes: `lm`, `types`, `signatures`, `tools`."""
        entry = self._entry(module)
        if shown := adapter.entry(dspy.settings.adapter, self.report):
            entry["adapter"] = shown
        if dspy.settings.callbacks:
            self.report.warn("callbacks of dspy.settings are not called by the native engine")
        made: dict[str, Any] = {}
        if model := self._model(module):
            made["lm"] = model
        if self.types.definitions:
            made["types"] = self.types.definitions
        made["signatures"] = {"main": _ordered(entry)}
        if "tools" in str(entry.get("module")):
            made["tools"] = self.tools
        return made

    def _entry(self, module: Any) -> dict[str, Any]:
        _check(module)
        writers: dict[type, Callable[[Any], dict[str, Any]]] = {
            dspy.Predict: self._predict,
            dspy.ChainOfThought: self._chain_of_thought,
            dspy.BestOfN: self._best_of_n,
            dspy.ReAct: self._react,
        }
        return writers[type(module)](module)

    def _predict(self, predictor: Any, without: str | None = None) -> dict[str, Any]:
        if predictor.fields:
            raise Refusal("the module", "it asks for decisions", RUN_PYTHON)
        entry = signature.entry(predictor.signature, self.types, without=without)
        if settings := lm.settings(predictor.config, "the module's config", self.report):
            entry["lm"] = settings
        if demos := signature.demos(predictor):
            entry["demos"] = demos
        return entry

    def _chain_of_thought(self, module: Any) -> dict[str, Any]:
        _check(module.predict)
        name, first = next(iter(module.predict.signature.output_fields.items()))
        desc = first.json_schema_extra.get("desc")
        if (name, first.annotation, desc) != ("reasoning", str, "${reasoning}"):
            # With a rationale field of one's own it is a Predict with one more output.
            return self._predict(module.predict)
        return {**self._predict(module.predict, without=name), "module": "chain_of_thought"}

    def _best_of_n(self, module: Any) -> dict[str, Any]:
        inner = self._entry(module.module)
        of = inner.get("module", "predict")
        if not isinstance(of, str):
            raise Refusal("the module", f"BestOfN of `{of['type']}`", RUN_PYTHON)
        made: dict[str, Any] = {"type": "best_of_n", "of": of, "n": module.N}
        made["threshold"] = plain(module.threshold, "the threshold")
        made["reward"] = declared(module.reward_fn)
        if module.fail_count != module.N:
            made["fail_count"] = module.fail_count
        return {**inner, "module": made}

    def _react(self, module: Any) -> dict[str, Any]:
        for predictor in (module.react, module.extract, module.extract.predict):
            _check(predictor)
        self._check_tools(module)
        entry = signature.entry(module.signature, self.types)
        parts = {"react": module.react, "extract.predict": module.extract.predict}
        fresh = dspy.ReAct(module.signature, list(module.tools.values())[:-1])
        usual = {"react": fresh.react, "extract.predict": fresh.extract.predict}
        state = {name: _state(it) for name, it in parts.items()}
        if any(it.config for it in parts.values()):
            raise Refusal("the module", "its predictors have a config of their own", RUN_PYTHON)
        if state != {name: _state(it) for name, it in usual.items()}:
            entry["state"] = state
        made = {"type": "react", "tools": list(self.tools), "max_iters": module.max_iters}
        return {**entry, "module": made}

    def _check_tools(self, module: Any) -> None:
        for name, tool in list(module.tools.items())[:-1]:
            where = getattr(tool.func, "__qualname__", "")
            if not where.startswith("convert_mcp_tool."):
                raise Refusal(
                    f"the tool `{name}`",
                    "it is a Python function",
                    f"offer it as an MCP server or over HTTP and name it in --tools, {RUN_PYTHON}",
                )
            if not self.tools:
                raise Refusal(
                    f"the tool `{name}`",
                    "its MCP server cannot be seen from here",
                    "say where it is in a file: `--tools tools.yaml`, with `tools: {name: {mcp: "
                    "{command: [..]}}}`",
                )

    def _model(self, module: Any) -> dict[str, Any]:
        """The model that all predictors ask."""
        own = [it.lm for _, it in module.named_predictors()]
        models = [it if it is not None else dspy.settings.lm for it in own]
        made = [lm.entry(it, "the program", self.report) if it else {} for it in models]
        if any(it != made[0] for it in made):
            raise Refusal("the program", "its predictors ask different models", RUN_PYTHON)
        if not made[0]:
            self.report.note("no model is configured: the file names none, and LM_MODEL decides")
        return made[0]


def _check(module: Any) -> None:
    """Refuses what is not exactly one of DSPy's own modules."""
    cls = type(module)
    where = f"the module `{cls.__name__}`"
    if cls not in _OWN:
        if cls.__module__.startswith("dspy.") and cls.__name__ in _OTHERS:
            raise Refusal(where, _OTHERS[cls.__name__], RUN_PYTHON)
        problem = "its `forward` is code, and what it does cannot be proven by looking at it"
        inner = ", ".join(f"`{name}`" for name, _ in _modules(module))
        fix = f"export one of its parts ({inner}), " if inner else ""
        raise Refusal(where, problem, fix + RUN_PYTHON)
    for name in _CALLS:
        code = getattr(cls, name, None)
        if name in vars(module) or code and not code.__module__.startswith("dspy."):
            raise Refusal(where, f"its `{name}` was replaced", RUN_PYTHON)
    unknown = vars(module).keys() - _MODULE - _OWN[cls]
    if code := sorted(it for it in unknown if callable(getattr(module, it))):
        raise Refusal(where, f"it has a `{code[0]}` of its own", RUN_PYTHON)
    if module.callbacks:
        raise Refusal(where, "it has callbacks, which the native engine does not call", RUN_PYTHON)


def _modules(module: Any) -> list[tuple[str, Any]]:
    named = vars(module).items()
    return [(name, it) for name, it in named if isinstance(it, dspy.Module)]


def _state(predictor: Any) -> dict[str, Any]:
    state = predictor.dump_state()
    return {"signature": state["signature"], "demos": signature.demos(predictor), "lm": None}


def _ordered(entry: dict[str, Any]) -> dict[str, Any]:
    order = ("instructions", "inputs", "outputs", "module", "adapter", "lm", "demos", "state")
    return {key: entry[key] for key in order if key in entry}
