"""DSPy's own types: values of them, as Python makes them, and as a model writes them.

A value is `{"$dspy": class, "value": keyword arguments}`.
"""
import dspy
from dspy.adapters.types.tool import ToolCallResults
from dspy.experimental import Citations, Document

# Audio and files go through LiteLLM, unless two steps print them.
INPUTS = ["Image", "Image", "Image", "Tool", "Tool", "Code", "Code_java", "Reasoning", "ToolCalls", "Audio", "File"]
OUTPUTS = ["Code", "Code_java", "Reasoning", "Reasoning", "Citations", "ToolCalls", "Image", "Audio", "File",
           "Document"]
URLS = ["https://x.example/a.png", "http://x/ä b.jpg?q=1&r=%20", "data:image/png;base64,iVBORw0KGgo=", "gs://b/o"]
SCHEMAS = [{"type": "string"}, {"type": "integer", "default": 3}, {"type": "array", "items": {"type": "number"}},
           {"enum": ["a", "é"], "description": "it's \"x\""}, {"type": "boolean", "default": None}, {}]
CODES = ["print(1)", "x = `1`\n\ny", " lead", "```", "a\n```b", "class A {}\n", ""]


CLASSES = {"Citations": Citations, "Document": Document, "ToolCallResults": ToolCallResults,
           "Code_java": dspy.Code["java"]}


def class_of(name):
    return CLASSES.get(name) or getattr(dspy, name)


def live(name, given):
    """The object that a value stands for."""
    if name == "Tool":
        return dspy.Tool(lambda **given: None, arg_types={}, **given)
    return class_of(name).model_validate(given)


def call(maker):
    r = maker.r
    made = {"name": r.choice(["search", "get_weather", "f"]), "args": {r.choice(["q", "k", "é"]): maker.json()
                                                                       for _ in range(r.randrange(3))}}
    if maker.maybe(0.7):
        made["id"] = f"call_{r.randrange(3)}"
    return made


def value(maker, name):
    r = maker.r
    made = {}
    if name == "Image":
        made = {"url": r.choice(URLS)}
    elif name == "Audio":
        made = {"data": r.choice(["UklGRg==", "aGk="]), "audio_format": r.choice(["wav", "mp3"])}
    elif name == "File":
        # With a name it goes through LiteLLM, which is not part of the oracle.
        made = r.choice([{"file_data": "data:text/plain;base64,aGk="}, {"file_id": "file-1"}])
    elif name == "Tool":
        made = {"name": r.choice(["search", "get_weather", "f"]), "desc": r.choice(["Finds.", "two\nlines", "", "é's"]),
                "args": {arg: r.choice(SCHEMAS) for arg in r.sample(["q", "k", "units"], r.randrange(3))}}
    elif name in ("Code", "Code_java"):
        made = {"code": r.choice(CODES)}
    elif name == "Reasoning":
        made = {"content": maker.text()}
    elif name == "Citations":
        made = {"citations": [citation(maker) for _ in range(r.randrange(3))]}
    elif name == "Document":
        made = {"data": maker.text()}
        if maker.maybe(0.5):
            made["title"] = maker.text()
    elif name == "ToolCalls":
        made = {"tool_calls": [call(maker) for _ in range(r.choice([0, 1, 1, 2]))]}
    return {"$dspy": name, "value": made}


def tools(maker):
    """Some tools, each of another name."""
    named = {it["value"]["name"]: it for it in (value(maker, "Tool") for _ in range(maker.r.randrange(1, 4)))}
    return list(named.values())


def citation(maker):
    made = {"cited_text": maker.text(), "document_index": maker.r.randrange(3), "start_char_index": 0,
            "end_char_index": maker.r.randrange(9)}
    if maker.maybe(0.4):
        made["document_title"] = maker.text() or "t"
    return made


def written(maker, name, given):
    """The plain value as a model writes it: in one of the forms that the class takes, or in none."""
    r = maker.r
    way = r.randrange(10)
    if way == 0:
        return maker.json()
    if name in ("Code", "Code_java"):
        code = given["code"]
        return r.choice([code, f"```python\n{code}\n```", f"Here:\n```{code}```\nDone", {"code": code}, {"code": 1},
                         f"```\n{code}"])
    if name == "Reasoning":
        return r.choice([given["content"], given["content"], {"content": given["content"]}, {"content": 1}, {}])
    if name == "ToolCalls":
        calls = given["tool_calls"]
        provider = [{"type": "function", "id": "c9", "function": {"name": it["name"], "arguments": r.choice([
            it["args"], str(it["args"]), "{", "[1]", None])}} for it in calls]
        return r.choice([given, given, calls, calls[0] if calls else {}, {"tool_calls": provider}, provider,
                         {"tool_calls": [1]}, {"tool_calls": {}}, {"name": "f"}, [{"name": "f", "arguments": {}}]])
    if name == "Citations":
        return r.choice([given, given["citations"], {"citations": [1]}, {"cited_text": "x"},
                         {"citations": [{"cited_text": "x"}]}, *given["citations"]])
    if name in ("Image", "File", "Audio"):
        text = given.get("url") or given.get("file_data") or "data:audio/wav;base64,UklGRg=="
        extra = given | {r.choice(["download", "extra", "verify"]): True}
        return r.choice([given, given, text, extra, "a.png", {}, {"url": 1}, {"url": {"url": text}}, {"data": text}])
    if name == "Document":
        return r.choice([given, given["data"], {"data": 1}, given | {"media_type": r.choice(["application/pdf", "x"])}])
    return given


def turn(maker, fields):
    """One turn of a conversation: values of fields, some missing, with what the tools gave."""
    made = {}
    for field in fields:
        # A text stands for an object of Python's classes, which a turn does not hold.
        # Two steps print a history's values by their Python types, which JSON does not have.
        of_classes = any(f"'{it}'" in str(field["type"]) for it in ("ref", "set", "tuple", "dspy", "class"))
        is_other = (maker.uses_classes and field["role"] == "output") or (maker.is_two_step and of_classes)
        if is_other or maker.maybe(0.15) or field["type"].get("name") == "History":
            continue
        made[field["name"]] = maker.value(field["type"])
        if field["type"] == {"kind": "dspy", "name": "ToolCalls"} and maker.maybe(0.6):
            answer(maker, made[field["name"]]["value"])
    if maker.maybe(0.05):
        made["other"] = maker.json()
    return made


def answer(maker, calls):
    results = [{"call_id": it.get("id"), "name": it["name"], "value": maker.json(), "is_error": maker.maybe(0.1)}
               for it in calls["tool_calls"]]
    if results and maker.maybe(0.2):
        results.pop()
    calls["tool_call_results"] = {"tool_call_results": results} if maker.maybe(0.7) else results


def history(maker, fields):
    return {"$dspy": "History", "value": {"messages": [turn(maker, fields) for _ in range(maker.r.randrange(4))]}}
