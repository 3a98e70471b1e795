"""Random cases: signatures of all types, demos, inputs, and the replies that models really send."""
import json
import random

import asking
import mutate
import own
from kinds import RULES, kinds
from pools import CLASSES, DESCS, INSTRUCTIONS, LARGE, NAMES, NONE_OF_CLASSES, NUMBERS, WORDS


class Maker:
    def __init__(self, seed, index, adapters):
        self.r = random.Random(f"{seed}:{index}")
        self.types = {}
        self.adapters = adapters
        self.tells_types, self.is_two_step = False, False
        self.uses_classes = self.maybe(0.25)
        self.classes, self.is_input, self.is_reply = [], False, False
        # The package's client takes no number in a call that is not finite.
        self.is_call = False
        self.uses_own = self.maybe(0.2)
        self.calls_tools = self.maybe(0.1)

    def maybe(self, chance):
        return self.r.random() < chance

    def text(self):
        r = self.r
        if self.maybe(0.15):
            return "".join(chr(r.choice([r.randrange(32, 127), r.randrange(0xd7ff), r.randrange(0x10000, 0x1ffff)]))
                           for _ in range(r.randrange(8)))
        return " ".join(r.choice(WORDS) for _ in range(r.choice([1, 1, 1, 2, 3])))

    def dumped(self, value):
        return json.dumps(value, ensure_ascii=self.maybe(0.5))

    @staticmethod
    def names(signature):
        return {it["name"] for it in signature["fields"]}

    # types

    def enum(self):
        r = self.r
        values = r.choice([["red", "green", "a b", "é", "RED"], ["red", "RED", "x", "1"], [1, 2, 3, -1, 0],
                           [1.5, 2.0, -0.5],
                           ["red", "RED", 1, 2, 1.5, True, "two", "1", "it's"]])
        chosen, members = r.sample(values, r.randrange(1, 4)), []
        for value in chosen:
            if not any(value == it["value"] for it in members):
                name = r.choice(["RED", "GREEN", "low", "Two", "A_B", "É"])
                if not any(name == it["name"] for it in members):
                    members.append({"name": name, "value": value})
        made = {"kind": "enum", "members": members}
        bases = {str: ["str", "StrEnum"], int: ["int", "IntEnum"], float: ["float"]}
        own = {type(it["value"]) for it in members}
        if len(own) == 1 and self.maybe(0.5):
            made["base"] = r.choice(bases.get(own.pop(), [None]))
        if self.maybe(0.2):
            made["doc"] = r.choice(["A choice.", "Two\n    lines.\n", "é"])
        return self.define(made)

    def define(self, definition):
        name = self.r.choice(["Color", "Person", "Item", "Node", "Mood"]) + str(len(self.types))
        self.types[name] = definition
        return {"kind": "ref", "name": name}

    def model(self, depth):
        r = self.r
        config = {}
        if self.maybe(0.3):
            config["extra"] = r.choice(["forbid", "allow", "ignore"])
        if self.maybe(0.2):
            config["populate_by_name"] = True
        fields, by_default = [], self.maybe(0.15)
        for name in r.sample(["name", "age", "tags", "kind", "zip_code", "x", "first_name", "note"], r.randrange(1, 5)):
            ty = self.type(depth + 1)
            field = {"name": name, "type": ty}
            if self.maybe(0.2):
                field["alias"] = name + "Alias"
            if self.maybe(0.3):
                field["description"] = self.text()
            if (by_default or self.maybe(0.3)) and (default := self.default(ty)) is not None:
                field["default"] = default[0]
            bounds = self.bounds(ty) if self.maybe(0.15) else {}
            if bounds:
                field["bounds"] = bounds
            fields.append(field)
        made = {"kind": "model", "config": config, "fields": fields}
        if self.maybe(0.3):
            made["doc"] = r.choice(["A person.", "Two\n    lines.\n", "é"])
        ref = self.define(made)
        if self.maybe(0.15):
            kids = {"kind": "list", "item": ref} if self.maybe(0.6) else {"kind": "union", "args": [ref, {"kind": "none"}]}
            default = [] if kids["kind"] == "list" else None
            fields.append({"name": "kids", "type": kids, "default": default})
        return ref

    def bounds(self, ty):
        kind, r = ty["kind"], self.r
        if kind in ("int", "float"):
            return r.choice([{"ge": 0}, {"gt": 0}, {"le": 10}, {"lt": 5, "ge": -5}, {"multiple_of": 2},
                             {"ge": 0.5} if kind == "float" else {"ge": 1}])
        if kind in ("str", "list"):
            return r.choice([{"min_length": 1}, {"max_length": 3}, {"min_length": 1, "max_length": 2}])
        return {}

    def default(self, ty):
        kind = ty["kind"]
        if kind in ("str", "int", "float", "bool", "none", "literal"):
            return [self.value(ty)]
        if kind == "union" and {"kind": "none"} in ty["args"]:
            return [None]
        if kind == "list" and self.maybe(0.5):
            return [[]]
        return None

    def type(self, depth=0):
        r = self.r
        scalars = ["str"] * 6 + ["int", "float", "bool"] * 2 + ["any", "none"] + self.classes + ["literal", "literal", "enum"]
        nested = ["list"] * 3 + ["dict", "union", "union", "optional", "optional", "tuple", "set", "model", "model", "bare"]
        nested += ["list", "dict", "union", "optional", "model"]
        kind = r.choice(scalars + (nested if depth < 3 else []))
        inner = lambda: self.annotated(self.type(depth + 1))
        if kind == "bytes":
            return {"kind": "bytes"}
        if kind in CLASSES:
            return {"kind": "class", "name": kind}
        if kind == "literal":
            pool = r.choice([["a", "b", "c d"], [1, 2, 3], ["yes", "no", True], [1, "1", "x"],
                             ["it's", 'say "x"', "b\"'"], [True, False], ["é", ""], [0, "zero", False], [1.5, 2, "x"], [-1, 1.0, 0.5],
                             ["a", None], [None, 1, "None"], ["x, y", "[a]", "a|b"], ["a\nb", "\\\\", "🎉"]])
            return {"kind": "literal", "values": r.sample(pool, r.randrange(1 + (None in pool), len(pool) + 1))}
        if kind == "enum":
            return self.reuse("enum") or self.enum()
        if kind == "model":
            return self.reuse("model") or self.model(depth)
        # Two steps print sets and tuples, which are lists in JSON.
        if kind == "list" or (kind == "set" and self.is_two_step):
            return {"kind": "list", "item": inner()}
        if kind == "set":
            return {"kind": r.choice(["set", "set", "frozenset"]), "item": self.hashable()}
        if kind == "dict":
            if self.is_two_step:
                # Which print the integers that a model makes of JSON's texts.
                return {"kind": "dict", "key": {"kind": "str"}, "value": inner()}
            key = r.choice([{"kind": "str"}] * 6 + [{"kind": "int"}, {"kind": "any"}, {"kind": "literal", "values": ["a", "b"]}])
            return {"kind": "dict", "key": self.hashable() if self.maybe(0.2) else key, "value": inner()}
        if kind == "tuple" and self.is_two_step:
            return {"kind": "bool"}
        if kind == "tuple":
            if self.maybe(0.5):
                return {"kind": "tuple", "args": [inner(), "..."]}
            return {"kind": "tuple", "args": [inner() for _ in range(r.randrange(1, 4))]}
        if kind == "bare":
            return {"kind": r.choice(["list", "dict"] if self.is_two_step else ["list", "dict", "set", "frozenset", "tuple"])}
        if kind in ("union", "optional"):
            args = [inner() for _ in range(1 if kind == "optional" else r.randrange(2, 4))]
            args += [{"kind": "none"}] if kind == "optional" or self.maybe(0.2) else []
            # JSON's text is of one class at most.
            texts = [it for it in args if self.is_input and kinds(it) & {"class", "bytes"}]
            args = [texts[0], {"kind": "none"}] if texts else args
            flat = []
            for arg in args:
                flat += [it for it in (arg["args"] if arg["kind"] == "union" else [arg]) if it not in flat]
            return {"kind": "union", "args": flat} if len(flat) > 1 else flat[0]
        return {"kind": kind}

    def annotated(self, ty):
        """The type, at times with bounds of its own."""
        bounds = self.bounds(ty) if self.maybe(0.06) else {}
        if not bounds:
            return ty
        name = next(name for name, bound in RULES.items() if bound in bounds)
        is_field = len(bounds) > 1 or self.maybe(0.7)
        return {"kind": "annotated", "item": ty, "rules": [{"name": "Field" if is_field else name, "bounds": bounds}]}

    def hashable(self):
        """A type of what sets and the keys of dictionaries are."""
        r = self.r
        plain = ["str", "str", "int", "any", "float", "bool", "none"]
        way = r.randrange(16 if self.is_reply or not self.is_input else 10)
        if way < 10:
            return {"kind": r.choice(plain)}
        if way == 10:
            return {"kind": "literal", "values": r.sample(["a", "b", 1, True, None, "1"], r.randrange(2, 4))}
        if way == 11:
            return self.reuse("enum") or self.enum()
        if way == 12:
            return {"kind": "union", "args": [{"kind": it} for it in r.sample(["str", "int", "none"], 2)]}
        if way == 13:
            return {"kind": "tuple", "args": [{"kind": "int"}, r.choice([{"kind": "str"}, "..."])]}
        kind = r.choice(["str", *self.classes])
        return {"kind": kind} if kind in ("str", "bytes") else {"kind": "class", "name": kind}

    def own(self, role):
        """One of DSPy's own types, alone or in another."""
        name = self.r.choice(own.INPUTS if role == "input" else own.OUTPUTS)
        made = {"kind": "dspy", "name": name}
        way = self.r.randrange(12)
        if way < 2:
            return {"kind": "list", "item": made}
        if way == 2 and name != "Tool":
            return {"kind": "union", "args": [made, {"kind": "none"}]}
        if way == 3 and name != "Tool":
            return {"kind": "dict", "key": {"kind": "str"}, "value": made}
        return made

    def reuse(self, kind):
        own = [name for name, it in self.types.items() if it["kind"] == kind]
        return {"kind": "ref", "name": self.r.choice(own)} if own and self.maybe(0.5) else None

    # values

    def json(self, depth=0):
        r = self.r
        pick = r.randrange(8 if depth < 2 else 5)
        if pick == 5:
            return [self.json(depth + 1) for _ in range(r.randrange(3))]
        if pick >= 6:
            return {self.text(): self.json(depth + 1) for _ in range(r.randrange(3))}
        number = r.choice(NUMBERS + LARGE if self.is_reply and not self.is_call else NUMBERS)
        return [self.text(), number, True, None, False][pick]

    def value(self, ty, depth=0):
        """A tagged value of a type."""
        r, kind = self.r, ty["kind"]
        inner = lambda it: self.value(it, depth + 1)
        count = r.randrange(3 if depth < 3 else 1)
        if kind == "str":
            return self.text()
        if kind == "int":
            return r.choice([it for it in NUMBERS if isinstance(it, int)])
        if kind == "float":
            return float(r.choice(NUMBERS))
        if kind == "bool":
            return self.maybe(0.5)
        if kind == "any":
            return self.json()
        if kind in ("class", "bytes"):
            name = ty.get("name", kind)
            return r.choice(CLASSES[name] + (NONE_OF_CLASSES.get(name, []) if self.is_reply else []))
        if kind == "none":
            return None
        if kind == "dspy":
            return own.value(self, ty["name"])
        if kind == "literal":
            return r.choice(ty["values"])
        if kind == "annotated" and self.is_reply and self.maybe(0.5):
            return inner(ty["item"])
        if kind == "annotated":
            # Each keeps all the bounds that there are.
            item = ty["item"]["kind"]
            return {"int": 2, "float": 2.0, "str": "ab"}[item] if item != "list" else [
                inner(ty["item"].get("item", {"kind": "any"})) for _ in range(2)]
        if kind == "union":
            return inner(r.choice(ty["args"]) if depth < 4 else ty["args"][-1])
        if kind == "list" and ty.get("item", {}).get("name") == "Tool":
            return own.tools(self)
        if kind == "list":
            return [inner(ty.get("item", {"kind": "any"})) for _ in range(count)]
        if kind in ("set", "frozenset"):
            item = ty.get("item", {"kind": "any"})
            return {f"${kind}": [self.value({"kind": "str"} if item["kind"] == "any" else item)]}
        if kind == "dict":
            value = ty.get("value", {"kind": "any"})
            key = ty.get("key", {"kind": "str"})
            keys = [self.key(key) for _ in range(count)]
            return {key: inner(value) for key in keys}
        if kind == "tuple":
            args = ty.get("args", [{"kind": "any"}, "..."])
            args = [args[0]] * count if args[-1] == "..." else args
            return {"$tuple": [inner(it) for it in args]}
        definition = self.types[ty["name"]]
        if definition["kind"] == "enum":
            member = r.choice(definition["members"])
            return {"$enum": ty["name"], "name": member["name"], "value": member["value"]}
        fields = [it for it in definition["fields"] if "default" not in it or (depth < 3 and self.maybe(0.6))]
        return {"$model": ty["name"], "value": {it["name"]: self.value(it["type"], depth + 1) for it in fields}}

    def key(self, ty):
        """A key of a dictionary in JSON: text."""
        value = self.value(ty) if ty["kind"] not in ("any", "tuple") and self.maybe(0.9) else self.text()
        value = value["value"] if isinstance(value, dict) else value
        if isinstance(value, str) or (isinstance(value, bool) and not self.is_reply):
            # An input's is as pydantic writes it.
            return value if isinstance(value, str) else json.dumps(value)
        return self.r.choice([str, json.dumps])(value)

    # programs

    def signature(self):
        r = self.r
        names = r.sample(NAMES, r.randrange(2, 7))
        inputs = r.randrange(1, len(names))
        fields = []
        for i, name in enumerate(names):
            role = "input" if i < inputs else "output"
            self.classes, self.is_input = list(CLASSES) if self.uses_classes else [], role == "input"
            ty = self.own(role) if self.uses_own and self.maybe(0.5) else self.type()
            desc = r.choice(DESCS)
            # Written out, the description that DSPy makes cannot be told from its own.
            desc = None if desc == f"${{{name}}}" else desc
            field = {"name": name, "role": role, "type": ty, "desc": desc}
            if self.maybe(0.1):
                field["prefix"] = self.text()
            if self.maybe(0.15):
                field["bounds"] = self.bounds(ty)
            if self.maybe(0.2) and (default := self.default(ty)) is not None:
                field["default"] = default[0]
            if role == "input" and ty["kind"] == "str" and self.maybe(0.3):
                field["type_undefined"] = True
            fields.append(field)
        if self.calls_tools:
            tools, calls = asking.tools(self)
            fields = tools + fields + calls
        if self.maybe(0.1 if self.uses_own or self.calls_tools else 0.02):
            fields.insert(0, {"name": "history", "role": "input", "type": {"kind": "dspy", "name": "History"},
                              "desc": None})
        return {"name": r.choice(["StringSignature", "Task"]), "instructions": r.choice(INSTRUCTIONS),
                "fields": fields, "types": self.types}

    def fields(self, fields, missing, wrong, of=()):
        """Values by name; some missing, some of another type."""
        values = {}
        enums = [f"'{name}'" for name, it in self.types.items() if it["kind"] == "enum"]
        for field in fields:
            # Where a member may be something else, JSON's value is that to the engine.
            shown = str(field["type"])
            if self.tells_types and "'union'" in shown and any(it in shown for it in enums):
                continue
            if not self.maybe(missing):
                # A text for one of DSPy's own is that to the engine, as everything of JSON is.
                is_wrong = self.maybe(wrong) and "'dspy'" not in str(field["type"])
                if field["type"].get("name") == "History":
                    values[field["name"]] = own.history(self, of)
                    continue
                values[field["name"]] = self.json() if is_wrong else self.value(field["type"])
        return values

    def case(self):
        r = self.r
        adapter = r.choice(self.adapters)
        self.is_two_step = adapter == "TwoStepAdapter"
        signature = self.signature()
        inputs = [it for it in signature["fields"] if it["role"] == "input"]
        outputs = [it for it in signature["fields"] if it["role"] == "output"]
        module = asking.module(self, signature, adapter)
        shown = outputs
        if "ChainOfThought" in str(module):
            shown = [{"name": "reasoning", "role": "output", "type": {"kind": "str"}}, *outputs]
        # An object of a class these write otherwise than its data, which JSON has for it.
        self.tells_types = adapter in ("BAMLAdapter", "TwoStepAdapter")
        demos = []
        # An example's dates are text, as saved states hold them.
        for _ in range(0 if self.uses_classes else r.choice([0, 0, 0, 1, 2, 3])):
            missing = r.choice([0, 0, 0.3, 0.6])
            wrong = 0 if self.tells_types else r.choice([0, 0, 0.2])
            demos.append(self.fields(inputs + shown, missing, wrong))
        wrong = 0 if self.tells_types or self.uses_classes else r.choice([0, 0, 0, 0.3])
        given = self.fields(inputs, r.choice([0, 0, 0, 0.3]), wrong, signature["fields"])
        if self.maybe(0.05):
            given["surprise"] = self.json()
        made = {"signature": signature, "module": module, "adapter": adapter,
                "options": asking.options(self, adapter), "model": r.choice(asking.MODELS), "demos": demos,
                "inputs": given, "lm": asking.settings(self, 0.15), "config": asking.settings(self, 0.15),
                "request": asking.settings(self, 0.1)}
        if adapter == "TwoStepAdapter":
            made["extraction"] = asking.extraction(self)
        self.is_reply = True
        if "refine" in module:
            made["request"] = {}
        made["replies"] = self.replies(made, shown)
        return made

    def replies(self, case, shown):
        """A reply to each request that may come."""
        adapter, module = case["adapter"], case["module"]
        count = next((it["n"] for it in (case["request"], case["config"], case["lm"]) if "n" in it), 1)
        if isinstance(module, dict):
            count = module.get("n") or module.get("m")
        formats = [adapter] * count
        if isinstance(module, dict) and "refine" in module:
            return [mutate.message(self, adapter, it) for it in [shown, asking.FEEDBACK] * count]
        if adapter == "TwoStepAdapter":
            formats += ["ChatAdapter", "JSONAdapter"] * count
        elif isinstance(module, dict):
            formats += ["JSONAdapter", adapter] * count
        else:
            formats += ["JSONAdapter"] * count
        return [mutate.message(self, it, shown) for it in formats]


def case(make):
    maker = Maker(make["seed"], make["index"], make["adapters"])
    made = maker.case()
    return json.loads(json.dumps(made))
