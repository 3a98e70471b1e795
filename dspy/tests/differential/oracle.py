#!/usr/bin/env python3
"""What the real package makes of a case: one JSON question a line, one JSON answer a line.

    {"make": {"seed": 1, "index": 7}}    a random case, and what the package makes of it
    {"run": CASE}                        what the package makes of this case
    {"ask": "parse_value", ..}           what one of its functions makes of something

The package's HTTP transport is replaced by one that gives the case's replies, so that everything
above it is the package's own: modules, adapters, the choice of response formats, the wire format.
"""
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
from dspy._vendor.lm15.transports._sync import StdlibTransport  # noqa: E402
from dspy._vendor.lm15.transports._types import TransportResponse  # noqa: E402

import build  # noqa: E402
import direct  # noqa: E402
import generate  # noqa: E402


class Wire:
    """The replies of a case, and what was asked."""

    def __init__(self):
        self.replies, self.bodies = [], []

    def stream(self, request):
        at = min(len(self.bodies), len(self.replies) - 1)
        self.bodies.append(json.loads(request.body))
        message = {"role": "assistant", "content": self.replies[at]}
        if isinstance(self.replies[at], dict):
            message |= self.replies[at]
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "stub",
                           "choices": [choice], "usage": usage}).encode()
        return TransportResponse(
            status=200, reason="OK", headers=[("content-type", "application/json")],
            http_version="HTTP/1.1", chunks=iter([body]), release=lambda consumed: None)


WIRE = Wire()
StdlibTransport.stream = lambda self, request: WIRE.stream(request)
ADAPTERS = {
    "ChatAdapter": lambda options: dspy.ChatAdapter(**options),
    "JSONAdapter": lambda options: dspy.JSONAdapter(**options),
    "XMLAdapter": lambda options: dspy.XMLAdapter(**options),
    "BAMLAdapter": lambda options: BAMLAdapter(**options),
}
MODELS = {}


class Log(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def model(name):
    if name not in MODELS:
        MODELS[name] = dspy.LM(
            name, api_base="http://127.0.0.1:9/v1", api_key="x", cache=False, num_retries=0)
    return MODELS[name]


def run(case):
    """What the package asks and answers; with the whole signature in the neutral form."""
    world = build.World(case["signature"]["types"])
    signature = world.signature(case["signature"])
    program = getattr(dspy, case["module"])(signature)
    predictor = program.predictors()[0]
    predictor.demos = [world.live(demo) for demo in case["demos"]]
    inputs = world.live(case["inputs"])
    answer = {"signature": build.neutral_signature(predictor.signature),
              "demos": build.tagged(predictor.demos), "inputs": build.tagged(inputs)}
    WIRE.replies, WIRE.bodies = case["replies"], []
    log = Log()
    logger = logging.getLogger("dspy")
    logger.addHandler(log)
    try:
        adapter = ADAPTERS[case["adapter"]](case.get("options", {}))
        with dspy.context(lm=model(case["model"]), adapter=adapter, disable_history=True):
            result = program(**inputs, config=case.get("config", {}))
        answer["outputs"] = {key: build.tagged(value) for key, value in result.items()}
        completions = result._completions
        if completions is not None and len(completions) > 1:
            answer["completions"] = build.tagged(dict(completions.items()))
    except RecursionError:
        answer["error"] = {"type": "RecursionError", "message": ""}
    except Exception as error:
        answer["error"] = {"type": type(error).__name__, "message": as_given(str(error))}
    finally:
        logger.removeHandler(log)
    answer["bodies"], answer["log"] = WIRE.bodies, log.lines
    return answer


def answer(question):
    if "ask" in question:
        return direct.answer(question)
    case = generate.case(question["make"]) if "make" in question else question["run"]
    made = run(case)
    if shows_half(case, made):
        return {"refused": "half a surrogate pair"}
    return {"case": case, "answer": made}


HALF = re.compile(r"\\u[dD][89a-fA-F]")
# pydantic cuts long values in the middle, also of an escape.
SHOWN = re.compile(r"[dD][89a-fA-F][0-9a-fA-F]{2}")


def shows_half(case, answer):
    """Whether half a surrogate pair is shown, or led to another call: only Python's text holds one."""
    asked_again = case["replies"][: len(answer["bodies"]) - 1]
    if any(HALF.search(reply or "") for reply in asked_again):
        return True
    shown = answer.get("error", {}).get("message") or repr(answer.get("outputs"))
    for reply in case["replies"]:
        shown = shown.replace(reply or "", "")
    return bool((SHOWN.search(shown) or "..." in shown) and HALF.search(str(case["replies"])))


def as_given(message):
    """An error's text with the reply as it came: where a schema was sent that asks for a choice,
    the package's client reads the reply as JSON, and the adapter gets that written anew."""
    reply = WIRE.replies[min(len(WIRE.bodies), len(WIRE.replies)) - 1]
    try:
        dumped = json.dumps(json.loads(reply.strip()), ensure_ascii=False)
        return message if reply in message else message.replace(dumped, reply)
    except (AttributeError, ValueError):
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
        except Exception as error:
            reply = {"refused": f"{type(error).__name__}: {error}"}
        print(json.dumps(whole(reply)), flush=True)


if __name__ == "__main__":
    logging.getLogger("dspy").propagate = False
    logging.getLogger("dspy").handlers.clear()
    main()
