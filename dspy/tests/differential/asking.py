"""How a case is asked: the adapter and its options, the model, its settings at each place, the module."""
import own

# The outputs of Refine's adviser.
FEEDBACK = [{"name": "discussion", "role": "output", "type": {"kind": "str"}},
            {"name": "advice", "role": "output", "type": {"kind": "dict", "value": {"kind": "str"},
             "key": {"kind": "literal", "values": ["self", "self", "predict", "predict", "other"]}}}]
MODELS = ["openai/stub", "openai/stub", "openai/gpt-4o-mini", "openai/gpt-4o-mini", "openai/gpt-3.5-turbo",
          "openai/gpt-3.5-turbo", "openai/o3-mini"]
SETTINGS = {
    "temperature": [0, 0.0, 0.1, 0.15, 0.5, 1.0, 1], "max_tokens": [1, 100, 16000, 20000], "top_p": [0.5, 1],
    "stop": [["\n"], ["a", "b"]], "seed": [7, -1], "rollout_id": [0, 3], "frequency_penalty": [0.5],
    "n": [1, 2, 3],
}


def settings(maker, chance):
    """Some settings, most often none."""
    if not maker.maybe(chance):
        return {}
    names = maker.r.sample(list(SETTINGS), maker.r.choice([1, 1, 2, 3]))
    return {name: maker.r.choice(SETTINGS[name]) for name in names}


def options(maker, adapter):
    made = {}
    if adapter in ("ChatAdapter", "XMLAdapter") and maker.maybe(0.5):
        made["use_json_adapter_fallback"] = False
    if maker.maybe(0.6 if maker.calls_tools else 0.03):
        made["use_native_function_calling"] = maker.maybe(0.8)
    if maker.maybe(0.15 if maker.calls_tools else 0.02):
        made["parallel_tool_calls"] = maker.maybe(0.5)
    return made


def extraction(maker):
    """The second model of two steps."""
    model = maker.r.choice(["openai/stub-2", "openai/gpt-4o-mini"])
    return {"model": model, "lm": {key: it for key, it in settings(maker, 0.3).items() if key != "n"}}


def tools(maker):
    """Fields that a program which calls tools has: the tools, and the calls."""
    tool = {"kind": "dspy", "name": "Tool"}
    type_ = {"kind": "list", "item": tool} if maker.maybe(0.8) else tool
    fields = [{"name": "tools", "role": "input", "type": type_, "desc": None}] if maker.maybe(0.95) else []
    calls = {"name": "calls", "role": "output", "type": {"kind": "dspy", "name": "ToolCalls"}, "desc": None}
    return fields, [calls]


def is_plain(signature):
    """Whether all values are JSON's: what Refine tells its adviser of others, JSON does not hold."""
    other = ("ref", "set", "tuple", "class", "bytes", "dspy", *(f"{it}'}}, 'value" for it in ("int", "float", "bool", "none")), "]}, 'value")
    return not any(it in str([field["type"] for field in signature["fields"]]) for it in other)


def module(maker, signature, adapter):
    """The module: a name, or a strategy over one."""
    r = maker.r
    plain = ["Predict"] * 5 if maker.names(signature) & {"reasoning"} else ["Predict"] * 4 + ["ChainOfThought"]
    inner = r.choice(plain)
    if maker.maybe(0.94):
        return inner
    outputs = [it for it in signature["fields"] if it["role"] == "output"]
    # Of other types JSON does not tell how Python writes them, by which answers are compared.
    texts = [it["name"] for it in outputs if it["type"]["kind"] == "str"]
    is_last = outputs[-1]["name"] in texts
    if is_last and inner == "ChainOfThought" and "rationale" not in maker.names(signature) and maker.maybe(0.5):
        return {"multi_chain_comparison": inner, "m": r.randrange(1, 4)}
    if not texts:
        return inner
    if maker.maybe(0.5):
        field = None if is_last and maker.maybe(0.5) else r.choice(texts)
        return {"majority": inner, "n": r.randrange(1, 4), "field": field}
    # The package's Refine falls over the second model of two steps when it has advice.
    may_refine = is_plain(signature) and adapter != "TwoStepAdapter"
    strategy = r.choice(["best_of_n", "refine", "refine"]) if may_refine else "best_of_n"
    made = {strategy: inner, "n": r.randrange(1, 4), "field": r.choice(texts),
            "threshold": r.choice([0.0, 1.0, 3.0, 100.0])}
    if maker.maybe(0.4):
        made["fail_count"] = r.randrange(1, 3)
    return made


def calls(maker):
    """The message of a model that calls tools."""
    made, maker.is_call = [], True
    for i in range(maker.r.choice([0, 1, 1, 2])):
        call = own.call(maker)
        args = maker.r.choice([call["args"], call["args"], {}, [1], "x"])
        text = maker.dumped(args)
        text = maker.r.choice([text] * 6 + ["", "{", text[:-1]])
        made.append({"id": call.get("id", f"c{i}"), "type": "function",
                     "function": {"name": call["name"], "arguments": text}})
    maker.is_call = False
    return made
