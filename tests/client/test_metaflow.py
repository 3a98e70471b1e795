"""The example for Metaflow runs to its end, with the real Metaflow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import HERE

ROOT = HERE.parent.parent


def test_a_foreach_with_a_batch_in_each_task(tmp_path: Path) -> None:
    flow = ROOT / "examples/metaflow/letters.py"
    place = {"HOME": str(tmp_path), "METAFLOW_HOME": str(tmp_path), "USERNAME": "tester"}
    env = {**os.environ, **place, "PROGRAMS_DIR": str(ROOT / "examples/programs")}
    command = [sys.executable, str(flow), "--no-pylint", "run", "--max-workers", "2"]

    ran = subprocess.run(
        [*command, "--letters", "5"], cwd=tmp_path, env=env, capture_output=True, timeout=400, text=True
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for branch in ("north", "south", "west"):
        assert f"{branch}: 5 letters" in ran.stdout
