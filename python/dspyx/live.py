"""Live DSPy programs, made known to a server: natively where that is exact, else as Python that a
server of this executor's own runs in this interpreter."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import binary, calls
from .calls import Program
from .errors import DspyxError
from .keys import (
    name_key,
    of_environment,
    refuse_other_keys,
    refuse_secrets,
    stripped,
    without_keys,
)
from .loader import LoadedProgram
from .recent import Recent
from .server import PrivateServer
from .transport import Transport

if TYPE_CHECKING:
    import dspy

logger = logging.getLogger("dspyx")

# Loads what lies beside it, where the process that wrote it would find what it imports.
_LOADER = """\
import os
import sys

sys.path[:] = {path!r}

import cloudpickle
import dspy

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "program.pkl"), "rb") as opened:
    program, settings = cloudpickle.load(opened)
dspy.configure(**settings)
"""
_SETTINGS = ("adapter", "lm")

# Of how many programs it is remembered what the server knows; one that is forgotten is made known
# again.
PROGRAMS_MAX = 1000


@dataclass(frozen=True)
class _Native:
    """A program file that the native engine runs as Python does, and the keys that it needs."""

    text: str
    keys: dict[str, str]


class Registrar:
    """Makes programs known to one server, each once."""

    def __init__(self, transport: Transport, server: PrivateServer | None) -> None:
        self._transport, self._server = transport, server
        self._lock = threading.RLock()
        self._instances: Recent[type, Any] = Recent(PROGRAMS_MAX)
        # By the ids that the server knows them by.
        self._known: Recent[str, Program] = Recent(PROGRAMS_MAX)
        self._loaded: Recent[Path, tuple[float, Program]] = Recent(PROGRAMS_MAX)
        # By the hash of their text: why they cannot run natively; nothing if they can.
        self._refusals: Recent[str, str | None] = Recent(PROGRAMS_MAX)

    def renew_lock(self) -> None:
        """In a forked child: who held the lock is not here."""
        self._lock = threading.RLock()

    def program(self, program: Any) -> Program:
        """The program as the server knows it by now."""
        with self._lock:
            if isinstance(program, LoadedProgram):
                return self._of_file(program)
            return self._of_module(self._instance(program))

    def wrong_inputs(self, program: Any, inputs: Mapping[str, Any]) -> str | None:
        """What is wrong with the inputs of a module that the server has not loaded, perhaps."""
        if isinstance(program, LoadedProgram):
            return None
        import dspy

        from .runner import program as runner

        with self._lock:
            module = self._instance(program)
        shape: Any = runner.Shape(dspy, module)  # type: ignore[no-untyped-call]
        missing, unknown = shape.missing(inputs), shape.unknown(inputs)
        wrong = [f"Missing required input fields: {missing}"] if missing else []
        wrong += [f"/{it}: is no input of this program" for it in unknown]
        return "; ".join(wrong) or None

    def _of_file(self, loaded: LoadedProgram) -> Program:
        changed = loaded.path.stat().st_mtime
        known = self._loaded.get(loaded.path)
        if known is None or known[0] != changed:
            if self._server is not None:
                self._give_keys({})
                id, version = self._server.add(loaded.path)
                program = Program(f"{id}@{version}", loaded.name)
            else:
                text = loaded.path.read_text(encoding="utf-8")
                program = Program(_hashed(loaded.id, text), loaded.name)
                self._transport.run(calls.register(program.id, _renamed(text, program.id)))
            known = self._loaded[loaded.path] = (changed, program)
        return known[1]

    def _instance(self, program: Any) -> Any:
        dspy = sys.modules.get("dspy")
        if dspy is not None:
            if isinstance(program, type) and issubclass(program, dspy.Module):
                if program not in self._instances:
                    self._instances[program] = program()
                return self._instances[program]
            if isinstance(program, dspy.Module):
                return program
        raise TypeError(
            f"`program` is a {type(program).__name__}; give a dspy.Module, or what DSPyModelLoader "
            "has loaded, or the id of a program of the server as `model_id`"
        )

    def _of_module(self, module: dspy.Module) -> Program:
        name = type(module).__name__
        native = self._native(module)
        if isinstance(native, _Native):
            id = _hashed(_kebab(name), native.text)
            if id not in self._known:
                self._register(id, native)
        elif self._server is None:
            raise DspyxError(
                f"{name} cannot run natively ({native}), and Python is only run by a server that "
                "this executor has started itself: leave out `url` and DSPYX_URL, or put a program "
                "file that names the code into the server's PROGRAMS_DIR (docs/python.md) and call "
                "it by its `model_id`"
            )
        else:
            id = self._hand_over(module, native, self._server)
        program = self._known[id] = Program(id, name)
        return program

    def _native(self, module: dspy.Module) -> _Native | str:
        """The module as a program file, or why it is none."""
        from .export import rehearse, walk, yaml
        from .export.refusal import Mistake, Refusal

        program = walk.Program()
        try:
            made = program.document(module)
        except Refusal as refusal:
            return _reason(refusal)
        keys = name_key(made, module)
        text = yaml.document({"name": type(module).__name__, "version": "1.0.0", **made})
        digest = _digest(text.encode())
        if digest not in self._refusals:
            self._refusals[digest] = None
            try:
                rehearse.prove(module, text, binary.find(), None)
            except (Refusal, Mistake) as refusal:
                self._refusals[digest] = _reason(refusal)
            except Exception as error:
                # The program's own code, when it is called with made-up inputs.
                self._refusals[digest] = f"it could not be compared: {error!r}"
            for line in program.report.warnings:
                logger.info("%s: %s", type(module).__name__, line)
        refusal_said = self._refusals[digest]
        return _Native(text, keys) if refusal_said is None else refusal_said

    def _register(self, id: str, native: _Native) -> None:
        text = _renamed(native.text, id)
        if self._server is None:
            if native.keys:
                raise DspyxError(
                    f"the model of {id} has an `api_key`, and a server elsewhere is sent none: leave "
                    "it out here, and set the key there (OPENAI_API_KEY), or leave out `url` and "
                    "DSPYX_URL"
                )
            self._transport.run(calls.register(id, text))
            return
        self._give_keys(native.keys)
        folder = self._server.folder / "live" / id
        if not folder.exists():
            with _made(folder) as draft:
                (draft / "program.yaml").write_text(text, encoding="utf-8")
        self._server.add(folder / "program.yaml")

    def _hand_over(self, module: dspy.Module, why: str, server: PrivateServer) -> str:
        """Writes the module where the server's Python loads it from."""
        import cloudpickle

        module, keys = without_keys(module)
        head, settings = _python_settings(keys)
        saved = cloudpickle.dumps((module, settings))
        refuse_secrets(saved, type(module).__name__, keys)
        code = json.dumps([head, sorted(_code(module))])
        name = type(module).__name__
        id = _hashed(_kebab(name), code, saved)
        refuse_other_keys(keys, server.sent, name)
        self._give_keys(keys)
        if id in self._known:
            return id
        logger.info("%s runs in Python: %s", name, why)
        folder = server.folder / "live" / id
        if not folder.exists():
            with _made(folder) as draft:
                (draft / "program.pkl").write_bytes(saved)
                path = [os.path.abspath(it) for it in sys.path]
                (draft / "program.py").write_text(_LOADER.format(path=path), encoding="utf-8")
                source = {"type": "local", "path": "program.py"}
                file = {"id": id, "source": source, "python": sys.executable, **head}
                (draft / "program.yaml").write_text(json.dumps(file), encoding="utf-8")
        server.add(folder / "program.yaml")
        return id

    def _give_keys(self, keys: dict[str, str]) -> None:
        """Hands over these keys, and those of the environment, which may be newer than the server."""
        assert self._server is not None
        self._server.give_keys({**of_environment(), **keys})


class _made:
    """A folder that is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))

    def __enter__(self) -> Path:
        return self._draft

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None:
            self._draft.rename(self._folder)
        else:
            shutil.rmtree(self._draft, ignore_errors=True)


def _python_settings(keys: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the caller's settings are in the program file, and what is left to be pickled."""
    import dspy

    from .export import lm as models
    from .export.refusal import Refusal
    from .export.report import Report

    settings = {it: dspy.settings.get(it) for it in _SETTINGS}
    head: dict[str, Any] = {}
    model = settings["lm"]
    if model is not None:
        try:
            head["lm"] = models.entry(model, "the program", Report())
        except Refusal:
            # A client of one's own, which the gateway cannot stand for.
            settings["lm"] = stripped(model, keys)
        else:
            settings["lm"] = None
            keys.update(name_key(head, None))
    return head, {name: it for name, it in settings.items() if it is not None}


def _code(module: dspy.Module) -> set[tuple[str, float]]:
    """The files of the module's classes, and when each was changed."""
    files = set()
    for _, part in module.named_sub_modules():
        home = sys.modules.get(type(part).__module__)
        path = getattr(home, "__file__", None)
        if path and not type(part).__module__.startswith("dspy."):
            try:
                files.add((path, os.stat(path).st_mtime))
            except OSError:
                continue
    return files


def _renamed(text: str, id: str) -> str:
    """A program file under another id."""
    try:
        file = json.loads(text)
    except ValueError:
        pass
    else:
        return json.dumps({**file, "id": id}, ensure_ascii=False)
    renamed, count = re.subn(r"(?m)^id\s*:.*$", f"id: {id}", text, count=1)
    if count:
        return renamed
    head, mark, rest = text.rpartition("\n---\n") if "\n---\n" in text else ("", "", text)
    if not mark and text.startswith("---\n"):
        mark, rest = "---\n", text.removeprefix("---\n")
    return f"{head}{mark}id: {id}\n{rest}"


def _hashed(name: str, *contents: str | bytes) -> str:
    whole = hashlib.sha256()
    for content in contents:
        whole.update(content.encode() if isinstance(content, str) else content)
    return f"{name[:100]}-{whole.hexdigest()[:12]}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _kebab(name: str) -> str:
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    return re.sub(r"[^a-z0-9-]+", "-", kebab).strip("-") or "program"


def _reason(refusal: Exception) -> str:
    return str(refusal).split("\n")[0]
