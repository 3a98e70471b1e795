"""What `pip install .` brings: the package and the command, for any Python, with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from conftest import HERE, PROGRAMS

ROOT = HERE.parent.parent
# As the document's first snippets, in a Python that has nothing but the package.
SNIPPET = """
import asyncio, sys
from dspyx import DSPyModelLoader, DSPyPipelineExecutor, ExecutionMode

executor = DSPyPipelineExecutor(cache_enabled=True, mlflow_tracking=True, timeout=300)
inputs = {"recipient": "john@example.com", "subject": "Meeting Follow-up"}
result = executor.execute(model_id="email-assistant-v1", inputs=inputs, mode=ExecutionMode.NORMAL)
assert result.success, result.error
loaded = DSPyModelLoader().load_from_config(sys.argv[1])
assert executor.execute(program=loaded["program"], inputs={"recipient": "r"}).success
assert asyncio.run(executor.aexecute(model_id="fast-program", inputs={"input": 1})).success
assert all(it.success for it in executor.execute_batch(model_id="fast-program",
                                                       inputs_list=[{"input": 1}] * 10))
assert "dspy" not in sys.modules
print(result.outputs["email_body"])
"""


def run(*command: str | Path, **env: str) -> str:
    clean = {it: os.environ[it] for it in ("PATH", "HOME", "CARGO_HOME") if it in os.environ}
    ran = subprocess.run(
        [str(it) for it in command],
        cwd=ROOT,
        env={**clean, "RUSTUP_TOOLCHAIN": os.environ.get("RUSTUP_TOOLCHAIN", ""), **env},
        capture_output=True,
        timeout=500,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_wheel_works_in_a_clean_environment(tmp_path: Path) -> None:
    # The profile and the folder in which the tests were built: nothing is compiled again.
    here = Path(sys.executable).parent
    build = {
        "MATURIN_PEP517_ARGS": "--profile dev --locked",
        "CARGO_TARGET_DIR": str(ROOT / "target"),
        "PATH": f"{here}:{os.environ['PATH']}",
    }
    wheel = (sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation")
    run(*wheel, "--no-index", "-q", "-w", tmp_path, **build)
    (made,) = tmp_path.glob("dspyx-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    bin = tmp_path / "venv/bin"
    run(bin / "pip", "install", "-q", "--no-index", made)

    email = run(bin / "python", "-c", SNIPPET, HERE / "configs/email_assistant.yaml",
                PROGRAMS_DIR=str(PROGRAMS))

    assert "offline dummy model" in email
    assert run(bin / "dspyx", "--version") == run(bin / "python", "-m", "dspyx", "--version")
    # One wheel for every Python of the platform, and no tests or caches in it.
    assert "-py3-none-" in made.name
    names = zipfile.ZipFile(made).namelist()
    assert "dspyx/py.typed" in names and not any("__pycache__" in it for it in names)
