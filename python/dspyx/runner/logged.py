"""Loads what `mlflow.dspy.log_model` logged, without the package `mlflow`.

Of MLflow, such a model needs only a wrapper around the program and DSPy's settings: what stands for
that here keeps both. A model whose own code uses MLflow imports the real one.
"""

import os
import pickle
import re
import sys

# Classes of MLflow that hold something, and do nothing when a program is run.
HOLDERS = ("mlflow.dspy", "mlflow.pyfunc", "mlflow.types", "mlflow.models", "mlflow.entities")
# Settings of a model that lead elsewhere, or are a secret: the worker has its own.
ENDPOINT = ("api_key", "api_base", "base_url", "api_version", "headers", "extra_headers")


class Holder:
    """Anything of MLflow: it has the attributes that were saved."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        if isinstance(state, tuple):
            state = {**(state[0] or {}), **(state[1] or {})}
        if isinstance(state, dict):
            self.__dict__.update(state)


class Unpickler(pickle.Unpickler):
    """Unpickles with holders in the places of MLflow's classes."""

    def find_class(self, module, name):
        if any(module == it or module.startswith(it + ".") for it in HOLDERS):
            return type(name, (Holder,), {"__module__": module})
        return super().find_class(module, name)


def is_logged(path):
    return os.path.isfile(os.path.join(path, "MLmodel"))


def load(dspy, path):
    """The program of a folder of MLflow; DSPy's settings become those that it was logged with."""
    code = os.path.join(path, "code")
    if os.path.isdir(code):
        sys.path.insert(0, code)
    program, settings = _unpickled(dspy, os.path.join(path, "data"))
    told = [it for it in settings.pop("callbacks", None) or [] if not isinstance(it, Holder)]
    settings = {name: it for name, it in settings.items() if not isinstance(it, Holder)}
    models = [settings.get("lm"), *(it.lm for _, it in program.named_predictors())]
    # A list, not `any`: each of them has to forget.
    if True in [_forget_endpoint(it) for it in models]:
        print(
            "the logged model holds an endpoint or a key of a language model, which are not used: "
            "name the endpoint in the program file's `lm`",
            file=sys.stderr,
        )
    dspy.configure(**settings, callbacks=told)
    return program


def _unpickled(dspy, data):
    folder, file = os.path.join(data, "model"), os.path.join(data, "model.pkl")
    if os.path.isdir(folder):
        settings = os.path.join(data, "dspy_config.pkl")
        return dspy.load(folder, allow_pickle=True), _settings(settings)
    with open(file, "rb") as opened:
        wrapper = Unpickler(opened).load()
    settings = {name: it for name, it in wrapper.dspy_settings.items() if name != "trace"}
    return wrapper.model, settings


def _settings(path):
    if not os.path.isfile(path):
        return {}
    with open(path, "rb") as opened:
        return dict(Unpickler(opened).load())


def _forget_endpoint(lm):
    """Takes a model's endpoint and key away; whether it had any."""
    kwargs = getattr(lm, "kwargs", None)
    if not isinstance(kwargs, dict):
        return False
    return bool([kwargs.pop(it) for it in ENDPOINT if it in kwargs])


def missing(path, error):
    """What to install for a module that is missing, by what the model says it requires."""
    try:
        with open(os.path.join(path, "requirements.txt"), encoding="utf-8") as opened:
            lines = [it.strip() for it in opened if it.strip() and not it.startswith("#")]
    except OSError:
        lines = []
    package = (error.name or "").split(".")[0]
    of_it = [it for it in lines if _name(it) == _name(package)] or _absent(lines) or [package]
    wanted = " ".join(f"'{it}'" for it in of_it)
    return (
        f"the model needs the module `{error.name}`, which is missing; install it with "
        f"`{sys.executable} -m pip install {wanted}`"
    )


def _absent(lines):
    """The requirements that are not there; a package may be named otherwise than its module."""
    from importlib import metadata

    absent = []
    for line in lines:
        try:
            metadata.version(_name(line))
        except metadata.PackageNotFoundError:
            # MLflow requires itself of every model.
            if _name(line) != "mlflow":
                absent.append(line)
    return absent


def _name(requirement):
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found.group().lower()) if found else ""
