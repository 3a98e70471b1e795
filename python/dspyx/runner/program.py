"""Finds, loads and describes a program."""

import enum
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import sys
import typing

from . import logged

FOLDER_FILES = ("program.py", "main.py", "app.py", "__init__.py")


class LoadError(Exception):
    """A program that cannot be loaded, in words for the one who wrote it."""


def load(spec):
    """The `dspy.Module` that a worker's `init` names."""
    import dspy

    _check_packages(spec.get("dependencies") or [])
    if spec["kind"] == "saved":
        program = _load_saved(dspy, spec["path"])
    else:
        program = _instance(dspy, _module(spec), spec.get("name"))
    if spec.get("state"):
        program.load(spec["state"])
    for name, predictor in program.named_predictors():
        # Kept by copies, which BestOfN and others make, so that a trace can name what called.
        predictor._dspyx_name = name
    for _, agent in program.named_sub_modules(dspy.ReAct):
        # Its tools are chosen by that predictor, and called outside of it. A CodeAct has none.
        name = getattr(getattr(agent, "react", None), "_dspyx_name", None)
        if name is not None:
            agent._dspyx_name = name
    return program


def _check_packages(wanted):
    for line in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", line.strip())
        try:
            importlib.metadata.version(name.group() if name else line)
        except importlib.metadata.PackageNotFoundError:
            raise LoadError(
                f"the package `{name.group() if name else line}` is missing; install it with "
                f"`{sys.executable} -m pip install '{line}'`"
            ) from None


def _load_saved(dspy, path):
    if logged.is_logged(path):
        try:
            return logged.load(dspy, path)
        except ModuleNotFoundError as error:
            raise LoadError(logged.missing(path, error)) from error
    if os.path.isdir(path):
        return dspy.load(path, allow_pickle=True)
    if path.endswith((".pkl", ".pickle")) and os.path.isfile(path):
        import cloudpickle

        with open(path, "rb") as opened:
            found = cloudpickle.load(opened)
        if isinstance(found, dspy.Module):
            return found
        raise LoadError(f"{path} is a {type(found).__name__}, and no dspy.Module")
    raise LoadError(
        f"{path} is no folder of `module.save(folder, save_program=True)` or of MLflow, and no "
        "pickle of a program"
    )


def _module(spec):
    path, name = spec.get("path"), spec.get("module")
    if name:
        if path:
            sys.path.insert(0, path)
        return importlib.import_module(name)
    if os.path.isdir(path):
        found = next((it for it in FOLDER_FILES if os.path.isfile(os.path.join(path, it))), None)
        if found is None:
            raise LoadError(f"{path} has none of {', '.join(FOLDER_FILES)}")
        if found == "__init__.py":
            sys.path.insert(0, os.path.dirname(path))
            return importlib.import_module(os.path.basename(path))
        path = os.path.join(path, found)
    if not os.path.isfile(path):
        raise LoadError(f"there is no {path}")
    return _file(path)


def _file(path):
    """Imports one file under its own name, also if that is a standard module's."""
    sys.path.insert(0, os.path.dirname(path))
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules or not name.isidentifier():
        name = "program_" + re.sub(r"\W", "_", name)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise LoadError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _instance(dspy, module, name):
    if name:
        found = module
        for part in name.replace(":", ".").split("."):
            if not hasattr(found, part):
                raise LoadError(f"{module.__name__} has no `{name}`")
            found = getattr(found, part)
    else:
        found = _only(dspy, module)
    if not isinstance(found, dspy.Module) and callable(found):
        found = found()
    if not isinstance(found, dspy.Module):
        raise LoadError(f"`{name}` is a {type(found).__name__}, and no dspy.Module")
    return found


def _only(dspy, module):
    """What a module means without a name: `program`, or the one class of its own."""
    if isinstance(getattr(module, "program", None), dspy.Module):
        return module.program
    own = [
        it
        for it in vars(module).values()
        if isinstance(it, type) and issubclass(it, dspy.Module) and it.__module__ == module.__name__
    ]
    if len(own) == 1:
        return own[0]
    names = ", ".join(it.__name__ for it in own) or "none"
    raise LoadError(f"class_name must say which dspy.Module is meant; there are: {names}")


class Shape:
    """What a program takes and gives, as far as it tells."""

    def __init__(self, dspy, program):
        self.program = program
        self.predictors = list(program.named_predictors())
        models = [dspy.settings.lm, *(it.lm for _, it in self.predictors)]
        # The class's own: reading the instance's logs a warning.
        is_async = _is_async(type(program), dspy.Module)
        self.is_async = is_async and not any(_blocks(it, dspy.BaseLM) for it in models)
        function = getattr(type(program), "aforward" if self.is_async else "forward", None)
        self.function = function
        self.signature = self._signature()
        self.parameters, self.is_open = self._parameters()
        self.hints = _hints(function)
        self.objects = {name: it for name, it, _ in self.inputs() if _is_more_than_json(it)}

    def _signature(self):
        """The signature that stands for the whole program, where there is one."""
        own = getattr(self.program, "signature", None)
        if own is not None and hasattr(own, "input_fields"):
            return own
        return self.predictors[0][1].signature if len(self.predictors) == 1 else None

    def _parameters(self):
        """The parameters of `forward` by name, and whether it takes any others."""
        try:
            parameters = list(inspect.signature(self.function).parameters.values())[1:]
        except (TypeError, ValueError):
            return {}, True
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        is_open = any(it.kind is inspect.Parameter.VAR_KEYWORD for it in parameters)
        return {it.name: it for it in parameters if it.kind in named}, is_open

    def inputs(self):
        """Name, type and default of every input; none where the program does not tell."""
        empty = inspect.Parameter.empty
        if self.is_open and not self.parameters:
            fields = self.signature.input_fields if self.signature is not None else {}
            return [(name, it.annotation, _default(it)) for name, it in fields.items()]
        known = self.signature.input_fields if self.signature is not None else {}
        found = []
        for name, parameter in self.parameters.items():
            annotation = self.hints.get(name, empty)
            if annotation is empty:
                annotation = known[name].annotation if name in known else typing.Any
            found.append((name, annotation, parameter.default))
        return found

    def missing(self, inputs):
        """The inputs without which the program cannot be called."""
        empty = inspect.Parameter.empty
        return [
            name
            for name, it in self.parameters.items()
            if it.default is empty and name not in inputs
        ]

    def unknown(self, inputs):
        """The inputs that the program would not take."""
        return [] if self.is_open else [it for it in inputs if it not in self.parameters]

    def convert(self, inputs):
        """The inputs as objects, where their types are more than JSON has."""
        import pydantic

        converted = dict(inputs)
        for name, value in inputs.items():
            if value is not None and name in self.objects:
                adapter = pydantic.TypeAdapter(self.objects[name])
                converted[name] = adapter.validate_python(value)
        return converted

    def manifest(self):
        program = self.program
        return {
            "class": type(program).__name__,
            "description": _own_doc(program),
            "is_async": self.is_async,
            "predictors": [_predictor(name, it) for name, it in self.predictors],
            "input_schema": self._input_schema(),
            "output_schema": self._output_schema(),
        }

    def _input_schema(self):
        empty = inspect.Parameter.empty
        fields = self.inputs()
        if not fields:
            return {"type": "object"}
        required = [name for name, _, default in fields if default is empty]
        schema = _object([(name, annotation) for name, annotation, _ in fields], required)
        for name, _, default in fields:
            if default is not empty and default is not None and _is_json(default):
                schema["properties"][name]["default"] = default
        if not self.is_open:
            schema["additionalProperties"] = False
        return schema

    def _output_schema(self):
        if self.signature is not None and not _is_users(self.program):
            fields = [(name, it.annotation) for name, it in self.signature.output_fields.items()]
            return _object(fields, [name for name, _ in fields])
        hint = self.hints.get("return")
        fields = getattr(hint, "model_fields", None) or getattr(hint, "__annotations__", None)
        if not isinstance(hint, type) or not fields or hint.__module__.startswith("dspy."):
            return {"type": "object"}
        return _schema(hint)


def _is_async(cls, base):
    """Whether `aforward` says what the program does. One that a class inherits, and whose `forward` it
    replaces, is another program's: dspy.CodeAct has the one of dspy.ReAct, which fails there."""
    for it in cls.__mro__[: cls.__mro__.index(base)]:
        if "aforward" in vars(it):
            return True
        if "forward" in vars(it):
            return False
    return False


def _blocks(model, base):
    """Whether a client of somebody's own can only be called and waited for."""
    cls = type(model)
    if not isinstance(model, base) or cls.__module__.startswith("dspy."):
        return False
    return cls.forward is not base.forward and cls.aforward is base.aforward


def _is_users(program):
    return not type(program).__module__.startswith("dspy.")


def _own_doc(program):
    """What the one who wrote the class says of it, not what DSPy says of all."""
    doc = vars(type(program)).get("__doc__") if _is_users(program) else None
    return inspect.cleandoc(doc) if doc else None


def _hints(function):
    try:
        return typing.get_type_hints(function)
    except Exception:
        # A hint that names what cannot be found says nothing.
        return {}


def _default(field):
    return inspect.Parameter.empty if field.is_required() else field.get_default()


def _is_json(value):
    return isinstance(value, (str, int, float, bool, list, dict))


def _is_more_than_json(annotation):
    """Whether values of a type are objects that JSON does not have."""
    if annotation in (str, int, float, bool, list, dict, tuple, set, type(None), typing.Any):
        return False
    arguments = typing.get_args(annotation)
    if arguments:
        origin = typing.get_origin(annotation)
        return origin is not typing.Literal and any(_is_more_than_json(it) for it in arguments)
    return isinstance(annotation, type)


def _predictor(name, predictor):
    signature = predictor.signature
    return {
        "name": name,
        "instructions": signature.instructions,
        "inputs": [_field(name, it) for name, it in signature.input_fields.items()],
        "outputs": [_field(name, it) for name, it in signature.output_fields.items()],
    }


def _field(name, field):
    from dspy.adapters.utils import get_annotation_name

    extra = field.json_schema_extra or {}
    described = {"name": name, "type": get_annotation_name(field.annotation)}
    described["required"] = field.is_required()
    desc = extra.get("desc")
    if desc and desc != f"${{{name}}}":
        described["desc"] = desc
    if not field.is_required() and _is_json(field.get_default()):
        described["default"] = field.get_default()
    return described


def _object(fields, required):
    properties, definitions = {}, {}
    for name, annotation in fields:
        schema = _schema(annotation)
        definitions.update(schema.pop("$defs", {}))
        properties[name] = schema
    whole = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    if definitions:
        whole["$defs"] = definitions
    return whole


def _schema(annotation):
    """The JSON Schema of a type; of one that pydantic does not know, that it may be anything."""
    import pydantic

    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"enum": [it.value for it in annotation]}
    try:
        return pydantic.TypeAdapter(annotation).json_schema()
    except Exception:
        return {}
