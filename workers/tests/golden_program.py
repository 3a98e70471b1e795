"""Builds the program of a golden case from its neutral description, and runs it."""

import enum
import json
import os
import typing

import dspy
import pydantic

FOLDER = os.environ["GOLDEN"]
SCALARS = {
    "str": str, "int": int, "float": float, "bool": bool, "none": type(None), "any": typing.Any,
}  # fmt: skip
DSPY = {"Code": dspy.Code, "History": dspy.History, "Image": dspy.Image}


class Types:
    """The types of one signature."""

    def __init__(self, neutral):
        self.neutral = neutral
        self.made = {}

    def of(self, it):
        kind = it["kind"]
        if kind in SCALARS:
            return SCALARS[kind]
        if kind == "list":
            return list[self.of(it["item"])] if it.get("item") else list
        if kind == "dict":
            return dict[self.of(it["key"]), self.of(it["value"])] if it.get("key") else dict
        if kind == "set":
            return set[self.of(it["item"])]
        if kind == "tuple":
            return tuple[tuple(... if a == "..." else self.of(a) for a in it["args"])]
        if kind == "literal":
            return typing.Literal[tuple(it["values"])]
        if kind == "union":
            return typing.Union[tuple(self.of(a) for a in it["args"])]
        if kind == "ref":
            return self.named(it["name"])
        raise TypeError(f"no type {it}")

    def named(self, name):
        if name not in self.made:
            definition = self.neutral[name]
            if definition["kind"] == "enum":
                members = {it["name"]: it["value"] for it in definition["members"]}
                self.made[name] = enum.Enum(name, members)
            else:
                self.made[name] = typing.ForwardRef(name)
                self.made[name] = self.model(name, definition)
        return self.made[name]

    def model(self, name, definition):
        fields = {}
        for it in definition["fields"]:
            options = {}
            if it.get("alias"):
                options["alias"] = it["alias"]
            if it.get("description"):
                options["description"] = it["description"]
            for constraint in it.get("constraints") or []:
                bound, _, number = constraint.partition("(")[2].rstrip(")").partition("=")
                options[bound] = json.loads(number)
            default = ... if it["required"] else self.value(it["default"])
            fields[it["name"]] = (self.of(it["type"]), pydantic.Field(default, **options))
        config = {}
        for key, value in (definition.get("config") or {}).items():
            config[key] = {"True": True, "False": False}.get(value, value)
        made = pydantic.create_model(name, __config__=config, __doc__=definition.get("doc"), **fields)
        made.model_rebuild(_types_namespace={**self.made, name: made})
        return made

    def value(self, it):
        """A value without its tags, as the object that it was."""
        if isinstance(it, list):
            return [self.value(item) for item in it]
        if not isinstance(it, dict):
            return it
        if "$model" in it:
            return self.named(it["$model"])(**self.value(it["value"]))
        if "$enum" in it:
            return self.named(it["$enum"])[it["name"]]
        if "$example" in it:
            return dspy.Example(**self.value(it["$example"]))
        if "$tuple" in it:
            return tuple(self.value(it["$tuple"]))
        return {key: self.value(item) for key, item in it.items()}


def signature(neutral, types):
    fields = {}
    for it in neutral["fields"]:
        make = dspy.InputField if it["role"] == "input" else dspy.OutputField
        options = {"default": types.value(it["default"])} if "default" in it else {}
        field = make(desc=it["desc"], prefix=it["prefix"], **options)
        if it.get("constraints"):
            field.json_schema_extra["constraints"] = it["constraints"]
        if it.get("type_undefined"):
            field.json_schema_extra["IS_TYPE_UNDEFINED"] = True
        fields[it["name"]] = (types.of(it["type"]), field)
    made = dspy.Signature(fields, neutral["instructions"])
    # Left empty, the package makes them up; the case knows what stood there.
    made.instructions = neutral["instructions"]
    return made


def adapter(case):
    options = case["adapter_options"] or {}
    make = getattr(dspy, case["adapter"])
    known = ("use_native_function_calling", "parallel_tool_calls", "use_json_adapter_fallback")
    options = {key: value for key, value in options.items() if key in known}
    if case["adapter"] == "JSONAdapter":
        options.pop("use_json_adapter_fallback", None)
    return make(**options)


class Golden(dspy.Module):
    def forward(self, case: str):
        with open(os.path.join(FOLDER, f"{case}.json"), encoding="utf-8") as text:
            case = json.load(text)
        (described,) = case["program"]["predictors"].values()
        types = Types(described["signature"]["types"])
        made = signature(described["signature"], types)
        predict = dspy.Predict(made, **types.value(described["config"]))
        predict.demos = types.value(described["demos"])
        lm = dspy.LM(case["model"], **case["lm_kwargs"])
        with dspy.context(lm=lm, adapter=adapter(case)):
            return predict(**types.value(case["inputs"]), **types.value(case["call_kwargs"]))
