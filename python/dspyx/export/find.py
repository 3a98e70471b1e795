"""Finds the program that the command line names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import dspy

from .refusal import Mistake

_FORMS = "write module:Class, module:object, path/file.py:Class, a folder, or mlflow:models:/NAME/1"


def find(target: str, *, allow_pickle: bool) -> Any:
    """The live program. Loading it runs its code."""
    if is_mlflow(target):
        _need_pickle(target, allow_pickle)
        return _of_mlflow(target.removeprefix("mlflow:"))
    if (Path(target) / "program.pkl").is_file():
        _need_pickle(target, allow_pickle)
        return dspy.load(target, allow_pickle=True)
    where, colon, name = target.rpartition(":")
    if not colon or not where or not name:
        raise Mistake(f"`{target}` names no program: {_FORMS}")
    return _made(_attribute(_module(where), name, where), target)


def is_mlflow(target: str) -> bool:
    """Whether the target is a model of MLflow: at a server, or a folder of one."""
    return target.startswith("mlflow:") or (Path(target) / "MLmodel").is_file()


def is_pickle(target: str) -> bool:
    """Whether the target is kept as a pickle."""
    return is_mlflow(target) or (Path(target) / "program.pkl").is_file()


def _need_pickle(target: str, allowed: bool) -> None:
    if not allowed:
        raise Mistake(
            f"{target} is a pickle: loading it runs whatever its maker put into it. If you trust "
            "that, say --allow-pickle"
        )


def _of_mlflow(uri: str) -> Any:
    # --allow-pickle was said; and a server that is away is told of in seconds, not in minutes.
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        import mlflow.dspy
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        if error.name != "mlflow":
            raise
        raise Mistake(
            f"{uri} needs the package mlflow in {sys.executable}: pip install mlflow"
        ) from None
    try:
        return mlflow.dspy.load_model(uri)
    except MlflowException as error:
        raise Mistake(
            f"{uri} cannot be had from {mlflow.get_tracking_uri()} (MLFLOW_TRACKING_URI): "
            f"{error.message}"
        ) from None
    except ModuleNotFoundError as error:
        raise Mistake(
            f"{uri} needs the module `{error.name}`, which {sys.executable} has not: install what "
            "the model's requirements.txt names"
        ) from None


def _module(where: str) -> Any:
    if not where.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as error:
            if error.name and (where == error.name or where.startswith(f"{error.name}.")):
                raise Mistake(f"there is no module `{where}` from here: {_FORMS}") from None
            raise
    path = Path(where)
    if not path.is_file():
        raise Mistake(f"there is no file {where}")
    # As `python file.py` would: what lies beside it can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise Mistake(f"{where} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _attribute(module: Any, name: str, where: str) -> Any:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise Mistake(f"{where} has no `{name}`; it has {_programs(module)}")
        found = getattr(found, part)
    return found


def _programs(module: Any) -> str:
    def is_program(it: Any) -> bool:
        is_class = isinstance(it, type) and issubclass(it, dspy.Module)
        return isinstance(it, dspy.Module) or is_class and it.__module__ == module.__name__

    names = [name for name, it in vars(module).items() if is_program(it)]
    return ", ".join(names) or "no programs at all"


def _made(found: Any, target: str) -> Any:
    if not isinstance(found, dspy.Module) and callable(found):
        try:
            found = found()
        except TypeError as error:
            raise Mistake(
                f"{target} cannot be made without arguments ({error}): make an object of it at "
                "the end of the file, and name that"
            ) from error
    if not isinstance(found, dspy.Module):
        raise Mistake(f"{target} is a {type(found).__name__}, and no dspy.Module")
    return found
