"""The package's HTTP transport, replaced by one that gives the replies of a case."""
import json

from dspy._vendor.lm15.transports._sync import StdlibTransport
from dspy._vendor.lm15.transports._types import TransportResponse

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Wire:
    """The replies of a case, and what was asked."""

    def __init__(self):
        self.replies, self.bodies = [], []

    def last(self):
        """The reply that was given last."""
        return self.replies[min(len(self.bodies), len(self.replies)) - 1]

    def stream(self, request):
        self.bodies.append(json.loads(request.body))
        reply = self.last()
        message = reply if isinstance(reply, dict) else {"content": reply}
        finish = message.get("finish_reason") or ("tool_calls" if message.get("tool_calls") else "stop")
        message = {"role": "assistant"} | {name: it for name, it in message.items() if name != "finish_reason"}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "stub",
                           "choices": [choice], "usage": USAGE}).encode()
        return TransportResponse(
            status=200, reason="OK", headers=[("content-type", "application/json")],
            http_version="HTTP/1.1", chunks=iter([body]), release=lambda consumed: None)


def said(reply):
    """All text of a reply."""
    if not isinstance(reply, dict):
        return reply or ""
    calls = [it["function"]["arguments"] for it in reply.get("tool_calls") or []]
    texts = [reply.get("content"), reply.get("reasoning_content"), *calls]
    return "\n".join(it for it in texts if it)


WIRE = Wire()
StdlibTransport.stream = lambda self, request: WIRE.stream(request)
