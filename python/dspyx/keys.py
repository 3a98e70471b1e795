"""Keys of models: where a live program has them, and how they are kept out of files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import DspyxError

if TYPE_CHECKING:
    import dspy

_KEY = re.compile(r"[A-Z0-9_]*_API_KEY\Z")
# Shorter ones would be found by chance.
_KEY_CHARS_MIN = 8


def of_environment() -> dict[str, str]:
    """The keys of this process's environment, by their variables."""
    return {name: key for name, key in os.environ.items() if _KEY.match(name) and key}


def name_key(made: dict[str, Any], module: dspy.Module | None) -> dict[str, str]:
    """Names the variable of a key that the code gives to its model; and that key, by it."""
    import dspy

    own = [it.lm for _, it in module.named_predictors()] if module is not None else []
    models = own or [None]
    given = {key_of(dspy.settings.lm if it is None else it) for it in models}
    if len(given) > 1:
        raise DspyxError(
            f"the predictors of {type(module).__name__} ask one model with different keys, and only "
            "one can be used: give all of them the same `api_key`, or none"
        )
    (key,) = given
    if key is None or "lm" not in made:
        return {}
    name = f"LM_KEY_{hashlib.sha256(key.encode()).hexdigest()[:16].upper()}"
    made["lm"]["api_key_env"] = name
    return {name: key}


def key_of(model: Any) -> str | None:
    """The key that the code gave to a model."""
    key = (getattr(model, "kwargs", None) or {}).get("api_key")
    return key if isinstance(key, str) and key else None


def without_keys(module: dspy.Module) -> tuple[dspy.Module, dict[str, str]]:
    """A copy whose predictors' models have no keys, and these, by the usual variables."""
    keys: dict[str, str] = {}
    if any(key_of(it.lm) for _, it in module.named_predictors()):
        module = module.deepcopy()
        for _, predictor in module.named_predictors():
            predictor.lm = stripped(predictor.lm, keys)
    return module, keys


def stripped(model: Any, keys: dict[str, str]) -> Any:
    """The model without its key, which is put to the others by its usual variable."""
    key = key_of(model)
    if key is None:
        return model
    from .runner.bridge import OWN_ENDPOINT

    if own := [it for it in OWN_ENDPOINT if it != "api_key" and model.kwargs.get(it)]:
        raise DspyxError(
            f"a predictor's own {model.model} has an `api_key` and sets {', '.join(own)}: it is asked "
            "past the server's gateway, and only that has keys; make it the model of the whole "
            "program (dspy.configure(lm=...)), or leave that out and set LM_API_BASE"
        )
    name = f"{model.model.partition('/')[0].upper()}_API_KEY"
    if keys.setdefault(name, key) != key:
        raise DspyxError(f"its predictors have different keys for {name}, and only one can be used")
    model = model.copy()
    del model.kwargs["api_key"]
    return model


def refuse_other_keys(keys: dict[str, str], sent: Mapping[str, str], name: str) -> None:
    """Refuses a key where other programs of the same server use another by the same variable."""
    known = {**sent, **of_environment()}
    for variable, key in keys.items():
        if known.get(variable, key) != key:
            raise DspyxError(
                f"{name} gives a model another key than {variable}, which other programs of this "
                f"executor use: leave out its `api_key` and set {variable} to it, or run it with an "
                "executor of its own and without that variable"
            )


def refuse_secrets(saved: bytes, name: str, keys: dict[str, str]) -> None:
    """Refuses to write a key into a file."""
    for variable, key in {**of_environment(), **keys}.items():
        if len(key) >= _KEY_CHARS_MIN and key.encode() in saved:
            raise DspyxError(
                f"{name} holds the key {variable} in one of its attributes, and would be written "
                "to a file with it: read it from the environment where it is used"
            )
