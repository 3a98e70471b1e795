"""Loads program files: YAML or JSON, as `docs/programs.md` describes them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import binary
from .errors import DspyxError

CHECK_SECONDS_MAX = 60


@dataclass(frozen=True)
class LoadedProgram:
    """A program file; `DSPyPipelineExecutor.execute(program=…)` runs it."""

    path: Path
    """Where the file is."""
    id: str
    """The id that it says, or its file's name."""
    name: str
    """Its name, for people."""
    version: str


class DSPyModelLoader:
    """Loads programs for a `DSPyPipelineExecutor`."""

    def load_from_config(self, config_path: str | os.PathLike[str]) -> dict[str, Any]:
        """Reads a program file; raises `DspyxError` with every mistake in it.

        Gives a dictionary: `program`, which is what `execute` takes, and what the file says:
        `name`, `version`, `description`, `runtime`, `signatures`, `input_schema`, `output_schema`,
        `config_path`.
        """
        path = Path(config_path).absolute()
        if not path.is_file():
            raise FileNotFoundError(f"there is no program file {config_path}")
        manifest = _manifest(path)
        program = LoadedProgram(
            path, manifest["program_id"].partition("#")[0], manifest["name"], manifest["version"]
        )
        return {"program": program, **manifest, "config_path": str(path)}


def _manifest(path: Path) -> dict[str, Any]:
    """What the command says of a program file."""
    command = [binary.find(), "programs", "check", "--json", str(path)]
    ran = subprocess.run(command, capture_output=True, timeout=CHECK_SECONDS_MAX)
    try:
        said = json.loads(ran.stdout)
    except ValueError:
        error = ran.stderr.decode("utf-8", "replace").strip()
        raise DspyxError(f"{path} cannot be read: {error}") from None
    if said["problems"]:
        raise DspyxError("; ".join(_problem(it) for it in said["problems"]))
    manifest: dict[str, Any] = said["manifests"][0]
    return manifest


def _problem(problem: dict[str, Any]) -> str:
    place = ":".join(str(problem[it]) for it in ("line", "column") if problem.get(it))
    where = f"{problem['origin']}:{place}" if place else problem["origin"]
    key = f"{problem['key']}: " if problem.get("key") else ""
    return f"{where}: {key}{problem['problem']}; {problem['fix']}"
