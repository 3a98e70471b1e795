"""Replies: what a model writes when it is asked for values, from well-formed to broken."""
import json
import re

import asking
import own

TOKENS = ["{", "}", "[", "]", "(", ")", '"', "'", ",", ":", "\\", "\n", "\r\n", " ", "\t", "```", "```json\n",
          "//", "/* c */", "# c\n", "null", "None", "True", "true", "NaN", "Infinity", "-", "+", "1_000", "0x10",
          "1e5", ".5", "5.", "007", "\u2028", "\x85", "\x1c", "\x0b", "“", "”", "‘", "’", "\\u00e9", "\\ud83c",
          "\\x41", "\\n", "\u00a0", "\ufeff", "...", "…", "<think>", "</think>", "**", "* ", "- ", "1. ", "é",
          "[[ ## completed ## ]]", "[[ ## ", " ## ]]", "[[ ## o0 ## ]]", "[[##o0##]]", "\n\n", "=", ";", "&", "<",
          ">", "</", "/>", "]]>", "\x00", "%", "$", "@", "!", "?", "|", "~", "½", "１２", "𝟙", "٣", "\"\"\"", "'''",
          "set()", "{1, 2}", "b'x'", "1j", "...", "lambda", "f''", "u'x'", "r'\\d'", "1,000", "1 000", "Answer:"]


def plain(value):
    """The value without tags."""
    if isinstance(value, list):
        return [plain(it) for it in value]
    if not isinstance(value, dict):
        return value
    if "$model" in value or "$enum" in value or "$dspy" in value:
        return plain(value["value"])
    for tag in ("$tuple", "$set", "$frozenset"):
        if tag in value:
            return plain(value[tag])
    return {key: plain(it) for key, it in value.items()}


def unnamed(maker, ty, value):
    """The plain value as a model may write it: fields under their aliases, members by name."""
    if isinstance(value, dict) and "$enum" in value:
        return value["name"] if maker.maybe(0.2) else value["value"]
    if isinstance(value, dict) and "$dspy" in value:
        return own.written(maker, value["$dspy"], value["value"])
    if isinstance(value, dict) and "$model" in value:
        fields = {it["name"]: it for it in maker.types[value["$model"]]["fields"]}
        made = {}
        for name, it in value["value"].items():
            alias = fields[name].get("alias", name)
            made[alias if maker.maybe(0.9) else name] = unnamed(maker, fields[name]["type"], it)
        if maker.maybe(0.1):
            made["extra"] = maker.json()
        return made
    if isinstance(value, list):
        return [unnamed(maker, None, it) for it in value]
    if isinstance(value, dict):
        for tag in ("$tuple", "$set", "$frozenset"):
            if tag in value:
                return [unnamed(maker, None, it) for it in value[tag]]
        return {key: unnamed(maker, None, it) for key, it in value.items()}
    return value


# What models write where a value is asked for, and what Python would print.
SAID = ["5%", "$5", "1,234.5", "about 5", "5.", ".5", "1/2", "1e3", "0x1F", "1_000", "٣", "Yes", "yes.", "TRUE", "on",
        "- a\n- b", "1. a\n2. b", "* a", "a, b, c", "a: 1\nb: 2", "N/A", "n/a", "null.", "nil", "(1, 2)", "(1,)", "()",
        "{1, 2}", "set()", "frozenset({1})", "datetime.date(2024, 1, 2)", "Color.RED", "<Color.RED: 'red'>", "RED",
        "Decimal('1.5')", "b'abc'", "Literal['a']", "str[a]", "`a`", "**a**", "'a'", '"a"', "“a”", '"a" or "b"', "a.",
        "[a, b]", "['a', \"b\"]", "[1, 2", "1, 2]", "{'a': 1}", "{a: 1}", '{"a": 1} {"a": 2}', '{"a": 1}\n{"b": 2}',
        "```\n[1]\n```", "```python\n[1]\n```", '{"a": "b" "c"}', '{"a": "say "hi""}', '[1, 2, ...]', "[...]", "...",
        "{\"a\": [1, 2}, \"b\": 3}", "True, False", "[None, null]", "[[1, 2], [3]", "1 2 3", "2024-01-02", "3 days",
        "I think: [1]", "[1] is it", "{} or []", "+1", "--1", "1-2", "-", "1e", "1.2.3", "\\d", "{\"a\": \"\\d\"}",
        '{"a": "x\ny"}', "{'a': 'it's'}", '{"a": 1, // no\n "b": 2}', '{"a": 1, # no\n}', '{"a": /* no */ 1}', "[,1]",
        '{"value": 1}', '{"type": "object", "value": 1}', '"[1]"', '"{\\"a\\": 1}"', "'[1]'", "nan", "-inf", "1e999",
        "9" * 30, "0" * 20 + "1", "1." + "3" * 30, "007", "-0", "1.0", "2.5", "one", "[1.0]", "[\"1\"]", "{\"1\": \"2\"}"]


def written(maker, value):
    """A value as text."""
    r = maker.r
    if maker.maybe(0.08):
        return r.choice(SAID)
    style = r.randrange(12)
    if isinstance(value, str) and style < 8:
        return value
    if style < 5:
        return json.dumps(value, ensure_ascii=maker.maybe(0.3))
    if style < 7:
        return json.dumps(value, ensure_ascii=False, indent=r.choice([1, 2, 4]))
    if style == 7:
        return str(value)
    if style == 8:
        return repr(value)
    if style == 9:
        return "```json\n" + json.dumps(value) + "\n```"
    if style == 10:
        return json.dumps(value).replace('"', "'")
    return broken(maker, json.dumps(value, ensure_ascii=False))


def values(maker, fields):
    pairs = []
    for field in fields:
        if maker.maybe(0.06):
            continue
        value = maker.json() if maker.maybe(0.1) else unnamed(maker, field["type"], maker.value(field["type"]))
        pairs.append((field["name"], value))
    if maker.maybe(0.08):
        pairs.insert(maker.r.randrange(len(pairs) + 1), (maker.r.choice(["extra", "o0", "Answer"]), maker.json()))
    if pairs and maker.maybe(0.08):
        pairs.append((maker.r.choice(pairs)[0], maker.json()))
    if maker.maybe(0.1):
        maker.r.shuffle(pairs)
    return pairs


def chat(maker, pairs):
    r, parts = maker.r, []
    for name, value in pairs:
        header = f"[[ ## {name} ## ]]"
        if maker.maybe(0.06):
            header = r.choice([f"  {header}", f"**{header}**", f"[[## {name} ##]]", f"[[ ## {name} ## ]", header.upper(),
                               f"\t{header}", f"{header} ", f"[[ ## {name}## ]]", f"\u00a0{header}", f"x {header}",
                               f"{header}{header}", f"{name}:", f"- {header}", f"[[ ##  {name} ## ]]"])
        between = r.choice(["\n"] * 6 + [" ", "", "\n\n", "\u2028", "\r\n"])
        parts.append(header + between + written(maker, value))
    text = r.choice(["\n\n"] * 6 + ["\n", "\r\n\r\n", "\u2028", "\x85"]).join(parts)
    if maker.maybe(0.85):
        text += "\n\n[[ ## completed ## ]]"
    return text + r.choice(["", "", "\n", "\n\nHope that helps!"])


def as_json(maker, pairs):
    r = maker.r
    style = r.randrange(10)
    if len({name for name, _ in pairs}) < len(pairs):
        body = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs)
        return "{" + body + "}"
    if style == 8:
        return repr(dict(pairs))
    if style == 9:
        body = [f"{name}: {written(maker, value)}" for name, value in pairs]
        return "{" + ",\n".join(body) + "}"
    return json.dumps(dict(pairs), ensure_ascii=maker.maybe(0.2), indent=r.choice([None, None, 2, 4]))


def xml(maker, pairs):
    def element(name, value):
        if isinstance(value, dict) and maker.maybe(0.8):
            body = "\n" + "\n".join(element(key, it) for key, it in value.items()) + "\n"
        elif isinstance(value, list) and maker.maybe(0.5):
            return "\n".join(element(name, it) for it in value)
        else:
            body = "\n" + written(maker, value) + "\n"
            if maker.maybe(0.7):
                body = body.replace("&", "&amp;").replace("<", "&lt;")
        return f"<{name}>{body}</{name}>"
    return "\n\n".join(element(name, value) for name, value in pairs)


def broken(maker, text):
    """One thing wrong with a text."""
    r = maker.r
    at = r.randrange(len(text) + 1)
    upto = min(len(text), at + r.choice([1, 1, 2, 5, 20]))
    way = r.randrange(16)
    if way == 0:
        return text[:at]
    if way == 1:
        return text[:at] + text[upto:]
    if way == 2:
        return text[:upto] + text[at:]
    if way < 7:
        return text[:at] + r.choice(TOKENS) + text[at:]
    if way == 7:
        return text.replace('"', "'")
    if way == 8:
        return text.replace('"', r.choice(["“", "”", "", "`", "\\\""]), r.randrange(1, 6))
    if way == 9:
        return re.sub(r"([}\]])", r",\1", text)
    if way == 10:
        return text.replace("true", "True").replace("false", "False").replace("null", "None")
    if way == 11:
        return r.choice(["Sure! Here it is:\n", "```json\n", "```\n", "<think>\nhm {x}\n</think>\n", "Answer: "]) + text \
            + r.choice(["", "\n```", "\nDone."])
    if way == 12:
        return text.replace(",", r.choice(["", ";", ",,", ", ,", "\n"]), r.randrange(1, 4))
    if way == 13:
        return text.replace(":", r.choice(["", "=", "::", " : ", "=>"]), r.randrange(1, 4))
    if way == 14:
        return text.replace("\n", r.choice(["\r\n", "\u2028", "\r", " ", "\\n"]))
    words = text.split(" ")
    r.shuffle(words)
    return " ".join(words)


def reply(maker, adapter, fields):
    r = maker.r
    if maker.maybe(0.02):
        return r.choice([None, "", " ", "\n", "{}", "[]", "null", "I cannot help with that."])
    if maker.maybe(0.04):
        adapter = r.choice(["ChatAdapter", "JSONAdapter", "XMLAdapter"])
    write = {"ChatAdapter": chat, "XMLAdapter": xml}.get(adapter, as_json)
    text = write(maker, values(maker, fields))
    for _ in range(r.choice([0, 0, 0, 1, 1, 2, 3])):
        text = broken(maker, text)
    return text


def message(maker, adapter, fields):
    """A reply as the wire has it: text, or a message with more than that."""
    text = free(maker, fields) if adapter == "TwoStepAdapter" else reply(maker, adapter, fields)
    if not (maker.calls_tools or maker.maybe(0.05)):
        return text
    made = {"content": text}
    if maker.maybe(0.7 if maker.calls_tools else 0.3):
        made["tool_calls"] = asking.calls(maker)
        made["content"] = maker.r.choice([text, text, None, ""])
    if maker.maybe(0.3):
        made["reasoning_content"] = maker.r.choice(["hm", "", "a\nb", None])
    if maker.maybe(0.2):
        made["finish_reason"] = maker.r.choice(["length", "stop", "content_filter"])
    return made


def free(maker, fields):
    """An answer in no format."""
    if maker.maybe(0.05):
        return maker.r.choice(["", None])
    return maker.r.choice(["It is Paris.", "  x\n", "{a}", chat(maker, values(maker, fields))])
