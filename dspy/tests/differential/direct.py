"""What single functions of the package and of Python make of something."""
import ast
import inspect
import textwrap

import dspy
import json_repair
from dspy.adapters.utils import get_annotation_name, parse_value
from dspy.signatures.signature import infer_prefix

import build


def outcome(make):
    try:
        return {"ok": build.tagged(make())}
    except RecursionError:
        return {"error": "RecursionError", "message": ""}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def answer(question):
    text, ask = question.get("text"), question["ask"]
    if ask == "parse_value":
        world = build.World(question["types"])
        annotation = world.type(question["type"])
        return outcome(lambda: parse_value(text, annotation))
    if ask == "signature":
        return outcome(lambda: build.neutral_signature(dspy.Signature(text)))
    return outcome(lambda: {
        "json_repair": json_repair.loads,
        "literal_eval": ast.literal_eval,
        "cleandoc": inspect.cleandoc,
        "dedent": textwrap.dedent,
        "splitlines": str.splitlines,
        "strip": str.strip,
        "repr": repr,
        "float": lambda it: repr(float(it)),
        "infer_prefix": infer_prefix,
    }[ask](text))
