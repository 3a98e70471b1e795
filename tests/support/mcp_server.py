"""An MCP server over standard input, of the standard library only, that does as a test asks.

Arguments: a file to which it appends a line for each thing that happens to it.
"""

import json
import os
import sys

LOG = sys.argv[1] if len(sys.argv) > 1 else os.devnull
STRING = {"type": "string"}


def tool(name, desc, /, **args):
    schema = {"type": "object", "properties": args, "required": list(args)}
    return {"name": name, "description": desc, "inputSchema": schema}


TOOLS = [
    tool("add", "Adds two numbers.", a={"type": "integer"}, b={"type": "integer"}),
    tool("env", "Tells a variable of the environment.", name=STRING),
    tool("several", "Gives two texts."),
    tool("fail", "Fails."),
    tool("refuse", "Answers with an error of the protocol."),
    tool("hang", "Never answers."),
    tool("once", "Answers when it is called again."),
    tool("die", "Ends the server."),
]


def log(line):
    with open(LOG, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(*texts, error=False):
    content = [{"type": "text", "text": it} for it in texts]
    return {"content": content, "isError": error}


def call(name, args):
    log(f"call {name}")
    if name == "add":
        return text(str(args["a"] + args["b"]))
    if name == "env":
        return text(os.environ.get(args["name"], "(not set)"))
    if name == "several":
        return text("one", "two")
    if name == "fail":
        return text("it is broken", error=True)
    if name == "once" and open(LOG, encoding="utf-8").read().count("call once") > 1:
        return text("here again")
    if name == "die":
        os._exit(3)
    return None


def answer(message):
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "of-the-tests", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params["name"], params.get("arguments") or {})
    return {}


log(f"start {os.getpid()}")
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        if message["method"] == "notifications/cancelled":
            log("cancelled")
        continue
    if message.get("method") == "tools/call" and message["params"]["name"] == "refuse":
        send({"id": message["id"], "error": {"code": -32602, "message": "not like this"}})
        continue
    result = answer(message)
    if result is not None:
        send({"id": message["id"], "result": result})
log("end")
