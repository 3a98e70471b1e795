"""DSPy's settings for one execution, apart from those of its neighbours."""

from . import scope


class Settings:
    """DSPy's settings for one execution; a program that changes them changes its own only."""

    def __init__(self, execution, init):
        self._execution, self._init = execution, init

    def __enter__(self):
        import dspy
        from dspy.utils.usage_tracker import UsageTracker

        usage = UsageTracker()
        changed = {
            "lm": _lm(self._init, self._execution.lm),
            "track_usage": True,
            "usage_tracker": usage,
            "disable_history": True,
            "trace": [],
        }
        if self._execution.is_debug or self._execution.is_streaming:
            from .trace import Tracer

            callbacks = list(dspy.settings.get("callbacks") or [])
            changed["callbacks"] = [*callbacks, Tracer(self._execution)]
        self._context = dspy.context(**changed)
        self._context.__enter__()
        return usage

    def __exit__(self, *error):
        return self._context.__exit__(*error)


def _lm(init, overrides):
    """The program's model: of its file, else its own, else the service's."""
    import dspy

    own, settings = dspy.settings.lm, init["lm"]
    if own is None or settings.get("model"):
        model = settings.get("model") or init.get("default_model")
        if model is None and not overrides.get("model"):
            return own
        wanted = {**settings, "model": model, **overrides}
        return dspy.LM(cache=False, num_retries=0, **wanted)
    wanted = {**settings, **overrides}
    return own.copy(**wanted) if wanted else own.copy()


def configure_in_place():
    """`dspy.configure` inside an execution is for that execution, and not for its neighbours."""
    import dspy
    from dspy.dsp.utils.settings import Settings as All, thread_local_overrides

    configure = All.configure

    def scoped(self, **changed):
        if scope.current() is None:
            return configure(self, **changed)
        thread_local_overrides.get().update(changed)
        return None

    All.configure = scoped
    dspy.configure = dspy.settings.configure
