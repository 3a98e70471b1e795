"""Takes the calls of language models to the worker, whose gateway makes them.

`dspy.LM` keeps its own engine selection, so that what it believes of a model, and what it sends, is
what it would be without us; only the last step, the transport, is ours. Keys never come here.
"""

import itertools
import json
import warnings

from . import scope
from .desk import as_rollout

ADDRESS = "http://gateway.invalid/v1"
KEY = "the gateway has it"
# Client settings with which a program brings its own endpoint.
OWN_ENDPOINT = ("api_key", "api_base", "base_url", "headers", "extra_headers", "api_version")
NOT_SENT = {
    "api_key", "api_base", "base_url", "headers", "extra_headers", "timeout", "api_version",
    "azure_ad_token_provider", "organization", "project", "extra_query", "custom_llm_provider",
    "n", "num_generations", "rollout_id", "num_retries", "cache", "prompt_cache", "model",
    "messages", "model_type",
}  # fmt: skip

COMPLETIONS_MAX = 128


class _Answer:
    """What a transport of lm15 gives back, read whole already."""

    status, reason, http_version = 200, "OK", "HTTP/1.1"
    headers = [("content-type", "application/json")]

    def __init__(self, body):
        self._body = body


class _SyncAnswer(_Answer):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read(self):
        return self._body


class _AsyncAnswer(_Answer):
    """The answer and the context manager that brings it: the request is made on entering."""

    def __init__(self, asking):
        super().__init__(None)
        self._asking = asking

    async def __aenter__(self):
        self._body = await self._asking
        return self

    async def __aexit__(self, *_):
        return None

    async def read(self):
        return self._body


class Transport:
    """lm15's way out, for one model."""

    def __init__(self, desk, model):
        self._desk, self._model = desk, model

    def stream(self, request):
        return _SyncAnswer(self._desk.ask(self._model, request.body))


class AsyncTransport(Transport):
    def stream(self, request):
        return _AsyncAnswer(self._desk.ask_async(self._model, request.body))


def rollouts(first):
    """The rollout of each completion of one call, lest a cache answers them all alike."""
    yield first
    for number in itertools.count(1):
        yield (first or 0) * COMPLETIONS_MAX + number


class Native:
    """A call that DSPy's own engine renders and reads, perhaps for several completions."""

    def __init__(self, provider, model, rollout):
        self._provider, self._model, self._rollouts = provider, model, rollouts(rollout)

    def _routed(self, request):
        from dataclasses import replace

        return replace(request, model=self._model)

    def complete(self, request):
        with as_rollout(next(self._rollouts)):
            return self._provider.complete(self._routed(request))

    def stream(self, request):
        """The reply as a stream of one piece: the gateway gives it whole."""
        from dspy.lm15 import response_to_events

        return response_to_events(self.complete(request))


class AsyncNative(Native):
    async def complete(self, request):
        with as_rollout(next(self._rollouts)):
            return await self._provider.complete(self._routed(request))

    async def stream(self, request):
        from dspy.lm15 import response_to_events

        for event in response_to_events(await self.complete(request)):
            yield event


class Plain:
    """A call in the words of the OpenAI protocol, of a model that DSPy leaves to LiteLLM."""

    def __init__(self, desk):
        self._desk = desk

    def _bodies(self, lm, request):
        """One body for each completion, with the rollout that tells it from the others."""
        from dspy.clients.legacy_requests import _strict_json_schema

        body = {"messages": request["messages"], "model": lm.model.split("/", 1)[-1]}
        for name, value in request.items():
            if name not in NOT_SENT and value is not None:
                body[name] = value
        format_ = body.get("response_format")
        if isinstance(format_, type):
            schema = _strict_json_schema(format_.model_json_schema())
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": format_.__name__, "schema": schema, "strict": True},
            }
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        wanted = itertools.islice(rollouts(request.get("rollout_id")), request.get("n") or 1)
        return [(data, rollout) for rollout in wanted]

    def _result(self, lm, request, replies):
        from dspy.clients.call_result import CallResult, attributes, combine

        bodies = [attributes(json.loads(it)) for it in replies]
        for body in bodies:
            lm._check_truncation(body)
        results = [CallResult.legacy(lm, it, kwargs=request) for it in bodies]
        return results[0] if len(results) == 1 else combine(results, model_type="chat")

    def complete_legacy(self, lm, request, **_):
        replies = []
        for body, rollout in self._bodies(lm, request):
            with as_rollout(rollout):
                replies.append(self._desk.ask(lm.model, body))
        return self._result(lm, request, replies)


class AsyncPlain(Plain):
    async def complete_legacy(self, lm, request, **_):
        replies = []
        for body, rollout in self._bodies(lm, request):
            with as_rollout(rollout):
                replies.append(await self._desk.ask_async(lm.model, body))
        return self._result(lm, request, replies)


class Bridge:
    """Puts itself in the place where DSPy chooses an engine."""

    def __init__(self, prefixes):
        self.desk = None
        self._prefixes = frozenset(prefixes)
        self._providers = {}
        self._told = set()

    def install(self):
        from dspy.clients import capabilities, execution

        self._select, execution._select_engine = execution._select_engine, self.select
        self._retry, execution._retryable = execution._retryable, self.retryable
        self._price, execution._price_result = execution._price_result, self.price
        self._known, capabilities._capabilities = capabilities._capabilities, self.capabilities

    def select(self, lm, call, asynchronous):
        """The engine of a call: ours, or the one that DSPy would take."""
        from dspy.clients.execution import _canonical
        from dspy.lm15 import LM15Error

        why = self.why_direct(lm, call) if self.desk is not None else "no worker is there"
        if why is not None:
            self._tell(lm, why)
            execution = scope.current()
            if execution is not None:
                execution.direct.add(lm.model)
            return self._select(lm, call, asynchronous)
        if call.request is None:
            found = self._provider(lm, asynchronous)
            if found is None:
                return (AsyncPlain if asynchronous else Plain)(self.desk), None, None
        else:
            found = self._provider(lm, asynchronous, needed=True)
        provider, resolution = found
        try:
            request = _canonical(call, compat=resolution.compat)
        except (LM15Error, TypeError, ValueError):
            if call.request is not None:
                raise
            return (AsyncPlain if asynchronous else Plain)(self.desk), None, None
        rollout = call.kwargs.get("rollout_id", call.legacy.get("rollout_id"))
        native = AsyncNative if asynchronous else Native
        return native(provider, resolution.model, rollout), request, resolution.provider

    def why_direct(self, lm, call):
        """Why a call cannot go through the gateway; none if it can."""
        if not call.managed:
            return f"{type(lm).__name__} makes its calls by itself"
        if not isinstance(lm._engine_spec, str):
            return "it has an engine of its own"
        if lm.model_type != "chat":
            return f"model_type={lm.model_type!r} is not the protocol of the gateway"
        own = [it for it in OWN_ENDPOINT if call.legacy.get(it) not in (None, "", KEY)]
        if own:
            return f"the program sets {', '.join(own)} for it"
        prefix, slash, _ = lm.model.partition("/")
        if slash and prefix not in self._prefixes:
            return f"the gateway does not know the provider `{prefix}`"
        return None

    def is_native(self, lm):
        """Whether DSPy's own engine renders the calls of a model, and knows the model by its list."""
        return self._provider(lm, asynchronous=True) is not None

    def _tell(self, lm, why):
        if self.desk is None or (lm.model, why) in self._told:
            return
        self._told.add((lm.model, why))
        warnings.warn(
            f"calls of {lm.model} do not go through dspyx: {why}. They have no limits, no shared "
            "cache and no journal, and need a key of their own",
            stacklevel=2,
        )

    def _provider(self, lm, asynchronous, needed=False):
        """lm15's own rendering of a provider that speaks the OpenAI protocol; none of others."""
        key = (lm.model, asynchronous)
        if key not in self._providers:
            try:
                self._providers[key] = self._make(lm, asynchronous)
            except Exception:
                if needed:
                    raise
                self._providers[key] = None
        return self._providers[key]

    def _make(self, lm, asynchronous):
        from dspy.clients.backend_selection import select_backend
        from dspy.lm15 import AsyncLMRouter, LMRouter, OpenAIChatLM, RouterConfig

        selection = select_backend(lm)
        resolution = selection.resolution
        if not selection.native or resolution is None:
            return None
        transport = AsyncTransport if asynchronous else Transport
        router = (AsyncLMRouter if asynchronous else LMRouter)(
            RouterConfig(
                api_keys={resolution.provider: KEY},
                base_urls={resolution.provider: ADDRESS},
                transport=transport(self.desk, lm.model),
                env={},
            )
        )
        provider = router.lm(f"{resolution.provider}:{resolution.model}")
        dialect = getattr(provider, "_inner", provider)
        return (provider, resolution) if isinstance(dialect, OpenAIChatLM) else None

    def retryable(self, state, error, attempt, retries):
        """Whether DSPy tries again. What the gateway has given up on, it has tried enough."""
        final = getattr(error, "dspyx_final", False) or getattr(
            error.__cause__, "dspyx_final", False
        )
        return not final and self._retry(state, error, attempt, retries)

    def price(self, *_):
        """Costs are the gateway's to know: looking them up here takes longer than the call."""

    def capabilities(self, lm, options=None):
        from dspy.clients.capabilities import Capabilities

        if lm.model.startswith("dummy/"):
            return Capabilities()
        return self._known(lm, options)


# By the codes of `dspy::LmError`.
ERRORS = {
    "rate_limit": "RateLimitError",
    "server": "ServerError",
    "transport": "TransportError",
    "timeout": "TimeoutError",
    "auth": "AuthError",
    "unsupported_model": "UnsupportedModelError",
    "context_window_exceeded": "ContextLengthError",
    "invalid_request": "InvalidRequestError",
    "billing": "BillingError",
    "provider": "ProviderError",
    "configuration": "ConfigurationError",
    "budget_exceeded": "BillingError",
}


def error_of(message):
    """The exception for a worker's `lm_error`, as an engine of DSPy's raises it."""
    from dspy import lm15

    code = message["code"]
    if code == "cancelled":
        return scope.Cancelled()
    error = getattr(lm15, ERRORS.get(code, "ProviderError"))(
        message["message"],
        provider_code=code,
        status=message.get("status"),
        retry_after=message.get("retry_after_seconds"),
    )
    error.dspyx_final = True
    return error
