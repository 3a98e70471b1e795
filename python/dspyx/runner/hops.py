"""Leaves out the threads that DSPy's asynchronous calls hop to for what blocks nobody here.

A call of a model goes to a thread and back three times: to look up what the model can do, to prepare
the call, and to price it. Each hop switches threads twice, and together they take more of the
processor than all else that DSPy does for a call.
"""

import asyncio
import functools


def leave_out(engine):
    """Does at once what of these three steps neither waits nor reads files; others hop as ever."""
    try:
        from dspy.clients import capabilities, execution, lm as models, model_metadata
        from dspy.clients.backend_selection import CLIENT_KEYS

        planning, prepare = capabilities._planning, execution.prepare
        look_up, price = capabilities.capabilities, execution._price_result
        # Read here once, for all processes that are forked: a loop that reads it later stands still.
        model_metadata.source_info()
    except (ImportError, AttributeError):
        # Another version of DSPy, which may do it otherwise.
        return
    hop = asyncio.to_thread

    def is_listed(model):
        """Whether what a model can do is in the package's own list: who asks for it reads it there."""
        planned = planning.get()
        options = (planned.options or ()) if planned is not None else ()
        return (
            type(model) is models.LM
            and model._engine_spec == "auto"
            and CLIENT_KEYS.isdisjoint(model.kwargs)
            and CLIENT_KEYS.isdisjoint(options)
            and engine.is_native(model)
        )

    def is_prepared_at_once(model, prompt, messages, options):
        """Not a request of lm15's, whose pictures are files that are read, nor for anybody's class."""
        is_text = prompt is None or isinstance(prompt, str)
        return type(model) is models.LM and is_text and "request" not in options

    @functools.wraps(hop)
    async def to_thread(function, /, *args, **kwargs):
        if function is look_up and is_listed(*args):
            return None
        if function is price or (function is prepare and is_prepared_at_once(*args)):
            return function(*args, **kwargs)
        return await hop(function, *args, **kwargs)

    asyncio.to_thread = to_thread
