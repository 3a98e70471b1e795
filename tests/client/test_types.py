"""The package's types hold, for its own code and for who uses it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HERE

ROOT = HERE.parent.parent
# Not in the root, where a folder is called `dspy`.
PACKAGES = ROOT / "python"


def check(command: list[str], folder: Path) -> None:
    ran = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_mypy_finds_nothing() -> None:
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    mypy += ["--cache-dir", str(ROOT / "target/mypy")]
    check([*mypy, "-p", "dspyx"], PACKAGES)
    check([*mypy, "."], HERE)


def test_pyright_finds_nothing() -> None:
    pyright = [sys.executable, "-m", "pyright"]
    # It is a package of Node.js, which this one fetches when it is first run.
    if shutil.which("node") is None or subprocess.run([*pyright, "--version"]).returncode:
        pytest.skip("pyright needs Node.js, and its package from npm")
    pyright += ["--pythonpath", sys.executable]
    check([*pyright, "--project", str(ROOT / "pyproject.toml")], PACKAGES)
