"""Random texts of signatures and annotations, also broken ones.

What the engine takes besides, or not at all, is left out: bare `Dict`, numbers of a `Literal` that are not finite.
"""

NAMES = ["question", "answer", "k", "score", "x1", "résumé", "is_ok", "context", "class", "None", "1a", "a-b",
         "q", "items", "B", "_a", "match", "type", "ﬁeld", "ｋ", "ｃlass", "ªb", "a＿b", "ℌ", "＿a", "ﷺ"]
PLAIN = ["str", "int", "float", "bool", "list", "dict", "tuple", "set", "Any", "None", "bytes", "typing.Any",
         "frozenset", "ｉｎｔ", "ſtr", "Ａny", "Ｎｏｎｅ"]
OWN = ["dspy.Image", "dspy.History", "dspy.Code", "dspy.Audio", "dspy.Tool", "dspy.ToolCalls", "dspy.File",
       "dspy.Reasoning"]
VALUES = ["1.5", "-1", "1e-5", "1.0", "'a'", '"b"', "'c, d'", "1", "True", "None", "'it\\'s'", "0", "'é'", "'a -> b'", "'x: y'"]
NOISE = [",", "->", ":", "[", "]", "|", " ", "(", ")", "'", '"', "=", ".", "\n", "#", "...", "Optional", "str",
         "=1", ";", "lambda", "@", "é", "\t"]


def annotation(maker, depth=0):
    r = maker.r
    inner = lambda: annotation(maker, depth + 1)
    way = r.randrange(16 if depth < 3 else 8)
    if way < 7:
        return r.choice(PLAIN[:9] if maker.maybe(0.8) else PLAIN)
    if way == 7:
        return r.choice(OWN)
    if way == 8:
        return r.choice(["list", "List", "typing.List", "set", "frozenset"]) + f"[{inner()}]"
    if way == 9:
        return r.choice(["dict", "Dict"]) + f"[{r.choice(['str', 'int', inner()])}, {inner()}]"
    if way == 10:
        return r.choice(["Optional", "typing.Optional"]) + f"[{inner()}]"
    if way == 11:
        return r.choice(["Union", "typing.Union"]) + "[" + ", ".join(inner() for _ in range(r.randrange(1, 4))) + "]"
    if way == 12:
        return " | ".join(inner() for _ in range(r.randrange(2, 4)))
    if way == 13:
        return "Literal[" + ", ".join(r.choice(VALUES) for _ in range(r.randrange(1, 4))) + "]"
    if way == 14:
        return r.choice([f"tuple[{inner()}, ...]", f"tuple[{inner()}]", f"Tuple[{inner()}, {inner()}]", "tuple[()]"])
    return r.choice([f"({inner()})", f"{inner()}[{inner()}]", f"list[{inner()}, {inner()}]", "Optional", "Union[]",
                     "list[]", "nowhere.Thing", "Unknown"])


def field(maker, name):
    r = maker.r
    if maker.maybe(0.6):
        name += r.choice([": ", ":", " : "]) + annotation(maker)
    if maker.maybe(0.02):
        name += r.choice([" = 1", "='x'", " = None"])
    return name


def signature(maker):
    r = maker.r
    names = r.sample(NAMES[:12], r.randrange(1, 6)) if maker.maybe(0.8) else r.choices(NAMES, k=r.randrange(1, 6))
    cut = r.randrange(len(names)) if maker.maybe(0.1) else max(1, r.randrange(len(names) + 1) - 1)
    sides = []
    for side in (names[:cut], names[cut:] or ["z"]):
        sides.append(r.choice([", "] * 5 + [",", " , ", ",\n"]).join(field(maker, it) for it in side))
    text = r.choice([" -> "] * 6 + ["->", " ->", "-> "]).join(sides)
    for _ in range(r.choice([0, 0, 0, 0, 0, 1, 2])):
        at = r.randrange(len(text) + 1)
        text = text[:at] + r.choice([*NOISE, ""]) + text[at + r.choice([0, 0, 1]):]
    return text
