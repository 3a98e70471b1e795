#!/usr/bin/env python3
"""What the real package makes of a case: one JSON question a line, one JSON answer a line.

    {"make": {"seed": 1, "index": 7}}    a random case, and what the package makes of it
    {"run": CASE}                        what the package makes of this case
    {"ask": "parse_value", ..}           what one of its functions makes of something

The package's HTTP transport is replaced by one that gives the case's replies, so that everything
above it is the package's own: modules, adapters, the choice of response formats, the wire format.
"""
import contextlib
import io
import json
import logging
import os
import re
import sys
import tempfile
import warnings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("DSPY_CACHEDIR", tempfile.mkdtemp(prefix="dspy-oracle-"))
warnings.simplefilter("ignore")

import dspy  # noqa: E402
from dspy.adapters.baml_adapter import BAMLAdapter  # noqa: E402

from dspy.clients import execution  # noqa: E402

import build  # noqa: E402
import direct  # noqa: E402
import generate  # noqa: E402
import modules  # noqa: E402
from wire import WIRE, said  # noqa: E402


ADAPTERS = {it.__name__: it for it in (
    dspy.ChatAdapter, dspy.JSONAdapter, dspy.XMLAdapter, BAMLAdapter, dspy.TwoStepAdapter)}
MODELS = {}


class NotHere(BaseException):
    """The package gives what its own client cannot send to LiteLLM, which is not compared. No
    module takes it for a failure."""


def litellm(**given):
    raise NotHere(f"LiteLLM is asked: {sys.exc_info()[1]}")


execution.LiteLLMEngine = litellm


class Log(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def model(name, settings):
    key = f"{name} {settings}"
    if key not in MODELS:
        MODELS[key] = dspy.LM(
            name, api_base="http://127.0.0.1:9/v1", api_key="x", cache=False, num_retries=0, **settings)
    return MODELS[key]


def adapter(case):
    options = dict(case.get("options", {}))
    if case["adapter"] == "TwoStepAdapter":
        second = case["extraction"]
        options["extraction_model"] = model(second["model"], second["lm"])
    return ADAPTERS[case["adapter"]](**options)


def run(case):
    """What the package asks and answers; with the whole signature in the neutral form."""
    world = build.World(case["signature"]["types"])
    signature = world.signature(case["signature"])
    module, predictor = modules.made(case["module"], signature, case["config"])
    predictor.demos = [world.given(case, predictor.signature, demo)[0] for demo in case["demos"]]
    inputs, shown = world.given(case, signature, case["inputs"])
    answer = {"signature": build.neutral_signature(predictor.signature),
              "demos": build.keyed(build.tagged(predictor.demos)), "inputs": shown}
    WIRE.replies, WIRE.bodies = case["replies"], []
    log, printed = Log(), io.StringIO()
    logger = logging.getLogger("dspy")
    logger.addHandler(log)
    try:
        lm = model(case["model"], case["lm"])
        with dspy.context(lm=lm, adapter=adapter(case), disable_history=True), \
                contextlib.redirect_stdout(printed):
            result = modules.run(case["module"], module, signature, inputs, dict(case["request"]))
        # Where every attempt failed, BestOfN gives nothing.
        answer["outputs"] = {key: build.tagged(value) for key, value in result.items()} if result is not None else None
        completions = result._completions if result is not None else None
        if completions is not None and len(completions) > 1:
            answer["completions"] = build.tagged(dict(completions.items()))
    except RecursionError:
        answer["error"] = {"type": "RecursionError", "message": ""}
    except Exception as error:
        answer["error"] = {"type": type(error).__name__, "message": as_given(str(error))}
    finally:
        logger.removeHandler(log)
    # BestOfN and Refine print why an attempt failed.
    answer["bodies"], answer["log"], answer["printed"] = WIRE.bodies, log.lines, printed.getvalue()
    return answer


# Of numbers that are not finite in calls of tools, and in replies by a schema that asks for a choice.
SLIPS = ("must contain only JSON-compatible values", "DataPart.value must be a JSON-compatible value")


def answer(question):
    if "ask" in question:
        return direct.answer(question)
    case = generate.case(question["make"]) if "make" in question else question["run"]
    made = run(case)
    if shows_half(case, made):
        return {"refused": "half a surrogate pair"}
    if any(slip in made.get("error", {}).get("message", "") for slip in SLIPS):
        return {"refused": "the package's client falls over a number that is not finite"}
    return {"case": case, "answer": made}


HALF = re.compile(r"\\u[dD][89a-fA-F]")
# pydantic cuts long values in the middle, also of an escape.
SHOWN = re.compile(r"[dD][89a-fA-F][0-9a-fA-F]{2}")


def shows_half(case, answer):
    """Whether half a surrogate pair is shown, or led to another call: only Python's text holds one."""
    asked_again = case["replies"][: len(answer["bodies"]) - 1]
    # A text with bounds is refused if it holds one.
    if "'bounds': {'m" in str(case["signature"]["types"]):
        asked_again = case["replies"]
    if any(HALF.search(said(reply)) for reply in asked_again):
        return True
    shown = answer.get("error", {}).get("message") or repr(answer.get("outputs"))
    if "surrogates not allowed" in shown:
        return True
    for reply in case["replies"]:
        shown = shown.replace(said(reply), "")
    # It shows half a pair that is a key by the three bytes of it.
    is_cut = SHOWN.search(shown) or "..." in shown or "\ufffd" in shown
    return bool(is_cut and any(HALF.search(said(it)) for it in case["replies"]))


def as_given(message):
    """An error's text with the reply as it came: where a schema was sent that asks for a choice,
    the package's client reads the reply as JSON, and the adapter gets that written anew."""
    for reply in WIRE.replies[: len(WIRE.bodies)]:
        reply = reply.get("content") if isinstance(reply, dict) else reply
        try:
            dumped = json.dumps(json.loads(reply.strip()), ensure_ascii=False)
        except (AttributeError, ValueError):
            continue
        # The whole of it, and of this reply: another may hold the same object.
        shown = "LM Response: {} \n"
        if not any(dumped in said(it) for it in WIRE.replies if said(it) != reply):
            message = message.replace(shown.format(dumped), shown.format(reply))
    return message


def whole(text):
    """Text without halves of surrogate pairs, which only Python can hold."""
    if isinstance(text, str):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(text, list):
        return [whole(it) for it in text]
    if isinstance(text, dict):
        return {whole(key): whole(value) for key, value in text.items()}
    return text


def main():
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except (Exception, NotHere) as error:
            reply = {"refused": f"{type(error).__name__}: {error}"}
        print(json.dumps(whole(reply)), flush=True)


if __name__ == "__main__":
    logging.getLogger("dspy").propagate = False
    logging.getLogger("dspy").handlers.clear()
    main()
