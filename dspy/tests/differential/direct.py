"""What single functions of the package and of Python make of something."""
import ast
import inspect
import textwrap

import dspy
import json_repair
from dspy.adapters.utils import parse_value

import build
import generate
import mutate
import texts

FUNCTIONS = {
    "json_repair": json_repair.loads,
    "literal_eval": ast.literal_eval,
    "cleandoc": inspect.cleandoc,
    "dedent": textwrap.dedent,
    "splitlines": str.splitlines,
    "strip": str.strip,
    "repr": repr,
}


def outcome(make):
    try:
        value = make()
        return {"ok": build.tagged(value), "repr": repr(value)}
    except RecursionError:
        return {"error": "RecursionError", "message": ""}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def flags(code):
    """What a character is, as a letter: one bit each."""
    it = chr(code)
    asked = (it.isprintable(), it.isalnum(), it.isalpha(), it.isdigit(), it.isidentifier(), ("a" + it).isidentifier())
    return chr(ord("0") + sum(1 << bit for bit, is_it in enumerate(asked) if is_it))


def answer(question):
    if "index" in question:
        question = make(question)
    text, ask = question.get("text"), question["ask"]
    if ask == "parse_value":
        world = build.World(question["types"])
        annotation = world.type(question["type"])
        made = outcome(lambda: parse_value(text, annotation))
        made["signature"] = build.neutral_signature(world.signature(
            {"name": "S", "fields": [{"name": "x", "role": "output", "type": question["type"]}]}))
    elif ask == "characters":
        made = {"flags": "".join(map(flags, range(0x110000)))}
    elif ask == "signature":
        try:
            signature = dspy.Signature(text)
        except Exception as error:
            made = {"error": type(error).__name__, "message": str(error)}
        else:
            made = {"signature": build.neutral_signature(signature)}
    elif ask == "float":
        made = outcome(lambda: repr(float(text)))
    else:
        made = outcome(lambda: FUNCTIONS[ask](text))
    return question | made


def make(question):
    """A random question."""
    maker = generate.Maker(question["seed"], question["index"], [])
    r = maker.r
    ask = r.choice(["parse_value"] * 6 + ["json_repair"] * 6 + ["literal_eval"] * 4 + ["signature"] * 4 + [*FUNCTIONS, "float"])
    made = {"ask": ask, "types": maker.types}
    if ask == "float":
        return made | {"text": repr(r.choice([r.random(), 1]) * 10.0 ** r.randrange(-320, 308))}
    if ask == "signature":
        return made | {"text": texts.signature(maker)}
    maker.is_reply = True
    ty = maker.type()
    value = maker.value(ty) if maker.maybe(0.7) else maker.json()
    text = mutate.written(maker, mutate.unnamed(maker, ty, value))
    if ask == "literal_eval" and maker.maybe(0.7):
        text = repr(mutate.plain(value))
    if ask in ("cleandoc", "dedent", "splitlines"):
        blanks = ["\n", "\n\n", "  ", "    ", "\t", " \t", "\r\n", "\x0b", "\x0c", "\u2028", "\x1d", "a", "b c"]
        text = "".join(r.choice(blanks) for _ in range(r.randrange(14)))
    for _ in range(r.choice([0, 1, 1, 2, 4])):
        text = mutate.broken(maker, text)
    return made | {"text": text, "type": ty}
