"""Answers other clients of models than DSPy's, as OpenAI's package, LiteLLM and LangChain.

Their usual variables hold a key that is none. What they send with it by `httpx` goes to the gateway, as
a call of the execution that sends it, so that keys stay in the worker, and limits, journal and budgets
are those of DSPy's calls. The addresses stay the providers': DSPy looks at the variables for those, and
believes other things of a model that is elsewhere.
"""

import importlib.abc
import importlib.util
import itertools
import json
import os
import sys

from .bridge import COMPLETIONS_MAX, KEY, rollouts
from .desk import EMBED, LM, as_rollout

PATH, EMBEDDINGS = "/chat/completions", "/embeddings"
# What a request for embeddings may say; `encoding_format` is left out, and numbers come.
OF_EMBEDDINGS = ("input", "dimensions", "user")
# Where providers want their keys.
HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
# The second is the name under which OpenAI's package has it.
PACKAGES = ("httpx", "httpx2")
# By the codes of `dspy::LmError`; OpenAI's package makes its exceptions of these.
STATUS = {
    "rate_limit": 429,
    "timeout": 504,
    "auth": 401,
    "unsupported_model": 404,
    "context_window_exceeded": 400,
    "invalid_request": 400,
    "billing": 402,
    "budget_exceeded": 402,
    "configuration": 400,
    "transport": 502,
    "provider": 502,
}
NO_STATUS = 500


def install(engine, init):
    """Sets the variables, except where the operator has, and waits for clients to be imported."""
    for name in ("OPENAI_API_KEY", *init["keys"]):
        os.environ.setdefault(name, KEY)
    sys.meta_path.insert(0, _Imports(_Door(engine, init["prefixes"], init["hosts"])))


class _Imports(importlib.abc.MetaPathFinder):
    """Opens the door in each package as it is imported: loading one just for that takes longer."""

    def __init__(self, door):
        self._door, self._seen = door, set()

    def find_spec(self, name, path=None, target=None):
        if name not in PACKAGES or name in self._seen:
            return None
        self._seen.add(name)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_open(module):
                execute(module)
                self._door.open(module)

            spec.loader.exec_module = execute_and_open
        return spec


def _is_ours(request):
    keys = (request.headers.get(name, "") for name in HEADERS)
    return any(it.removeprefix("Bearer ") == KEY for it in keys)


class Refused(Exception):
    """A request that is answered with an error at once."""

    def __init__(self, status, message, code=None):
        super().__init__(message)
        self.status, self.code = status, code


class _Door:
    """Where requests with the gateway's key leave their package."""

    def __init__(self, engine, prefixes, hosts):
        self._engine, self._prefixes, self._hosts = engine, prefixes, hosts

    def open(self, httpx):
        send, send_async = httpx.Client.send, httpx.AsyncClient.send

        def sent(client, request, **how):
            if not _is_ours(request):
                return send(client, request, **how)
            request.read()
            return self._answer(httpx, request)

        async def sent_async(client, request, **how):
            if not _is_ours(request):
                return await send_async(client, request, **how)
            await request.aread()
            return await self._answer_async(httpx, request)

        httpx.Client.send, httpx.AsyncClient.send = sent, sent_async

    def _answer(self, httpx, request):
        try:
            asked, desk = self._read(request), self._desk()
            replies = []
            for rollout in asked.rollouts:
                with as_rollout(rollout):
                    replies.append(desk.ask(asked.model, asked.body, asked.kind))
            return asked.answer(httpx, replies)
        except Exception as error:
            return _failed(httpx, request, error)

    async def _answer_async(self, httpx, request):
        try:
            asked, desk = self._read(request), self._desk()
            replies = []
            for rollout in asked.rollouts:
                with as_rollout(rollout):
                    replies.append(await desk.ask_async(asked.model, asked.body, asked.kind))
            return asked.answer(httpx, replies)
        except Exception as error:
            return _failed(httpx, request, error)

    def _read(self, request):
        host, path = request.url.host, request.url.path
        if request.method != "POST" or not path.endswith((PATH, EMBEDDINGS)):
            raise Refused(
                404,
                f"the gateway answers chat completions and embeddings, and not {request.method} "
                f"{path}; for that let the operator name the provider's key in PYTHON_ENV",
            )
        if host not in self._hosts:
            raise Refused(
                404,
                f"the gateway knows no provider at {host}; let the operator name the key for it in "
                "PYTHON_ENV",
            )
        kind = _Asked if path.endswith(PATH) else _AskedToEmbed
        return kind(request, self._hosts[host], self._prefixes)

    def _desk(self):
        if self._engine.desk is None:
            raise Refused(409, "a model was called while the program is loaded: call it in `forward`")
        return self._engine.desk


def _read(request):
    """The model and the rest of a body of the OpenAI protocol."""
    try:
        body = json.loads(request.content)
        return str(body.pop("model")), body
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(400, "the body is no request of the OpenAI protocol") from None


def _whole(model, provider, prefixes):
    """A model with its provider's prefix."""
    prefix, slash, _ = model.partition("/")
    return model if slash and prefix in prefixes else f"{provider}/{model}"


class _AskedToEmbed:
    """A request for the vectors of texts."""

    kind, rollouts = EMBED, (None,)

    def __init__(self, request, provider, prefixes):
        model, body = _read(request)
        self._request, self.model = request, _whole(model, provider, prefixes)
        said = {it: body[it] for it in OF_EMBEDDINGS if body.get(it) is not None}
        self.body = json.dumps(said, ensure_ascii=False).encode()

    def answer(self, httpx, replies):
        headers = {"content-type": "application/json"}
        return httpx.Response(200, headers=headers, content=replies[0], request=self._request)


class _Asked:
    """A request in the OpenAI protocol."""

    kind = LM

    def __init__(self, request, provider, prefixes):
        model, body = _read(request)
        try:
            wanted = int(body.pop("n", None) or 1)
        except (ValueError, TypeError):
            raise Refused(400, "`n` is no number") from None
        self.rollouts = itertools.islice(rollouts(None), min(wanted, COMPLETIONS_MAX))
        self._request = request
        self._streams = body.pop("stream", False)
        self._counts = (body.pop("stream_options", None) or {}).get("include_usage", False)
        self.model = _whole(model, provider, prefixes)
        self.body = json.dumps(body, ensure_ascii=False).encode()

    def answer(self, httpx, replies):
        bodies = [json.loads(it) for it in replies]
        whole = bodies[0]
        whole["choices"] = [it["choices"][0] for it in bodies]
        for index, choice in enumerate(whole["choices"]):
            choice["index"] = index
        usages = [it.get("usage") or {} for it in bodies]
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        whole["usage"] = {name: sum(it.get(name, 0) for it in usages) for name in names}
        if not self._streams:
            return httpx.Response(200, json=whole, request=self._request)
        lines = "".join(f"data: {json.dumps(it)}\n\n" for it in self._chunks(whole))
        headers = {"content-type": "text/event-stream"}
        content = f"{lines}data: [DONE]\n\n".encode()
        return httpx.Response(200, headers=headers, content=content, request=self._request)

    def _chunks(self, whole):
        """The reply as a stream of one piece: the gateway gives it whole."""
        head = {**whole, "object": "chat.completion.chunk"}
        usage = head.pop("usage")
        choices = []
        for choice in whole["choices"]:
            delta = dict(choice["message"])
            calls = delta.get("tool_calls") or []
            if calls:
                delta["tool_calls"] = [{**it, "index": at} for at, it in enumerate(calls)]
            reason = choice.get("finish_reason")
            choices.append({"index": choice["index"], "delta": delta, "finish_reason": reason})
        yield {**head, "choices": choices}
        if self._counts:
            yield {**head, "choices": [], "usage": usage}


def _failed(httpx, request, error):
    code = getattr(error, "code", None) or getattr(error, "provider_code", None)
    status = getattr(error, "status", None) or STATUS.get(code, NO_STATUS)
    if code == "context_window_exceeded":
        code = "context_length_exceeded"
    said = {"message": str(error), "type": type(error).__name__, "code": code, "param": None}
    # The gateway has tried enough.
    headers = {"x-should-retry": "false"}
    wait = getattr(error, "retry_after", None)
    if wait is not None:
        headers["retry-after"] = str(wait)
    return httpx.Response(status, headers=headers, json={"error": said}, request=request)
