"""What a program did, step by step: one step for each call of a model, as native programs trace."""

import time

import dspy
from dspy.utils.callback import BaseCallback

from . import outcome, scope


def predictor_name():
    """The predictor that runs here; empty outside of any."""
    for module in reversed(dspy.settings.caller_modules or []):
        name = getattr(module, "_dspyx_name", None)
        if name is not None:
            return name
    return ""


def _signature(inputs):
    """The signature that an adapter is called with; of a method wrapped twice, among its arguments."""
    named = {**inputs.get("kwargs", {}), **inputs}
    return named.get("signature") or next(iter(inputs.get("args", ())), None)


def _texts(signature):
    """The outputs that are texts."""
    return [name for name, it in signature.output_fields.items() if it.annotation is str]


def _shown(value):
    """A value as JSON; what JSON cannot hold, as Python shows it."""
    try:
        return outcome.to_json(value, "")
    except outcome.NotJson:
        return repr(value)


class _Begun:
    """A moment: the time that a worker knows too, and how long ago it was."""

    def __init__(self):
        self.at = time.time()
        self._counter = time.perf_counter()

    def ms(self):
        return (time.perf_counter() - self._counter) * 1000


class Tracer(BaseCallback):
    """Reports the steps of one execution.

    DSPy calls an adapter's `format`, the model, and the adapter's `parse` one after the other in
    one thread or task. What runs beside each other is told apart by the predictor's call.
    """

    def __init__(self, execution):
        self._execution = execution
        self._steps = {}
        self._asked = {}
        self._started = {}

    def _key(self):
        from dspy.utils.callback_context import ACTIVE_CALL_ID

        return ACTIVE_CALL_ID.get()

    def _end(self, call_id):
        """When the call began, in whose, and what was noted of it then."""
        return self._started.pop(call_id, (_Begun(), None, (None, None)))

    def _begin(self, call_id, extra=None):
        self._started[call_id] = (_Begun(), self._key(), extra)

    def on_adapter_format_start(self, call_id, instance, inputs):
        self._begin(call_id, (type(instance).__name__, _signature(inputs)))

    def on_adapter_format_end(self, call_id, outputs, exception=None):
        began, key, (adapter, signature) = self._end(call_id)
        asked = {"predictor": predictor_name(), "adapter": adapter}
        render = {"render_at": began.at, "render_ms": began.ms()}
        self._steps[key] = {**asked, **render, "calls": []}
        # Of two steps only the second asks for the fields.
        if signature is not None and adapter != "TwoStepAdapter":
            self._asked[key] = {**asked, "texts": _texts(signature)}

    def on_lm_start(self, call_id, instance, inputs):
        scope.CALLS.set([])
        scope.ASKED.set(self._asked.pop(self._key(), None))
        self._begin(call_id)

    def on_lm_end(self, call_id, outputs, exception=None):
        began, key, _ = self._end(call_id)
        bare = {"predictor": predictor_name(), "adapter": ""}
        bare |= {"render_at": began.at, "render_ms": 0.0}
        step = self._steps.setdefault(key, {**bare, "calls": []})
        step["calls"] += scope.CALLS.get() or []
        scope.CALLS.set(None)
        scope.ASKED.set(None)
        if exception is not None or not step["adapter"]:
            self._say(key, None, exception, None)

    def on_adapter_parse_start(self, call_id, instance, inputs):
        self._begin(call_id)

    def on_adapter_parse_end(self, call_id, outputs, exception=None):
        began, key, _ = self._end(call_id)
        self._say(key, outputs, exception, began)

    def on_tool_start(self, call_id, instance, inputs):
        arguments = inputs.get("kwargs", inputs)
        self._begin(call_id, (instance.name, dict(arguments)))

    def on_tool_end(self, call_id, outputs, exception=None):
        began, _, (name, arguments) = self._end(call_id)
        if name is None:
            return
        self._execution.say(
            "tool_span",
            predictor=predictor_name(),
            name=name,
            args=_shown(arguments),
            result=None if exception is not None else _shown(outputs),
            error=None if exception is None else str(exception),
            at=began.at,
            ms=began.ms(),
        )

    def _say(self, key, outputs, exception, parse):
        step = self._steps.pop(key, None)
        if step is None:
            return
        calls, later = step["calls"], []
        if exception is None:
            # One completion is read after the other; a failure is that of all that are left.
            calls, later = calls[:1], calls[1:]
        if later:
            self._steps[key] = {**step, "calls": later}
        for call in calls:
            self._execution.say(
                "span",
                predictor=step["predictor"],
                adapter=step["adapter"],
                call=call,
                outputs=None if outputs is None else _shown(dict(outputs)),
                error=None if exception is None else str(exception),
                render_at=step["render_at"],
                render_ms=step["render_ms"],
                parse_at=0.0 if parse is None else parse.at,
                parse_ms=0.0 if parse is None else parse.ms(),
            )
