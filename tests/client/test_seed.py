"""Every snippet of the document that all began with, as it is written there but for its imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import dspy
import pytest
from conftest import HERE

from dspyx import DSPyPipelineExecutor

DOCUMENT = (HERE.parent / "seed/dspy-pipeline-executor.md").read_text(encoding="utf-8")
IMPORT = re.compile(r"from src\.services\.\w+ import ")


def snippets(language: str) -> list[str]:
    """The snippets of a language, in their order."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", DOCUMENT, re.M | re.S)
    return [IMPORT.sub("from dspyx import ", dedent(code)) for _, code in found]


PYTHON = [it for it in snippets("python") if "metaflow" not in it]
FLOW = [it for it in snippets("python") if "metaflow" in it]
CURL = [it for it in snippets("bash") if it.startswith("curl")]


def test_no_snippet_is_left_out() -> None:
    assert len(PYTHON + FLOW) == DOCUMENT.count("```python") > 0
    assert len(FLOW) == 1
    assert len(CURL) == DOCUMENT.count("curl -X") > 0


def test_python_snippets_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(HERE)
    lm = dspy.LM("dummy/mine")
    names: dict[str, Any] = {"my_program": dspy.Predict("text -> answer"), "inputs": {"text": "a"}}

    with dspy.context(lm=lm):
        said = [run(code, names, capsys) for code in PYTHON]
    names["executor"].shutdown()

    everything = "".join(said)
    for line in (
        "Generated email: (offline dummy model) email_body",
        "Result 1: Success\nResult 2: Success\nResult 3: Success\n",
        "Error: Model invalid-program not found in registry\n",
        "Success rate: 100.00%\n",
        "Average time: 0.0",
        "P95 time: 0.0",
        "Summary 1: (offline dummy model) summary",
        "Summary 3: (offline dummy model) summary",
        "'steps': [",
    ):
        assert line in everything, f"{line!r} is not in {everything}"
    assert "failed" not in everything.lower().replace("failed_executions", "")


def run(code: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a snippet after those before it, and checks what it left; what it printed."""
    for name in ("result", "results", "result1", "result2"):
        names.pop(name, None)
    exec(compile(code, "the document", "exec"), names)
    results = [names[it] for it in ("result", "result1", "result2") if it in names]
    results += names.get("results", [])
    for result in results:
        assert result.success or "invalid-program" in code, result
    if "range(100)" in code:
        assert len(results) == 100
    return capsys.readouterr().out


def test_curl_snippets_run(executor: DSPyPipelineExecutor) -> None:
    answers = [curl(code, executor) for code in CURL]

    accepted, batch, programs, stats = answers
    assert accepted["status"] == "queued" and accepted["program_id"] == "email-assistant-v1"
    assert (batch["total"], batch["invalid"]) == (2, 0)
    assert "email-assistant-v1" in [it["program_id"] for it in programs["programs"]]
    assert "success_rate" in stats["statistics"]


def curl(code: str, executor: DSPyPipelineExecutor) -> Any:
    """Runs a snippet in a shell, against the executor's own server."""
    assert executor.token is not None
    code = code.replace("YOUR_TOKEN", executor.token)
    code = code.replace("http://localhost:8001", executor.url)
    ran = subprocess.run(["bash", "-c", code], capture_output=True, timeout=60)
    return json.loads(ran.stdout)


def test_every_endpoint_of_the_table_is_there(executor: DSPyPipelineExecutor) -> None:
    rows = re.findall(r"^\| `(/api/v1/dspy/[^`]*)` \| (\w+) \|", DOCUMENT, re.M)
    assert len(rows) == 7
    future = executor.submit(model_id="summarizer-v2", inputs={"text": "a"})
    for path, method in rows:
        url = executor.url + path.replace("{id}", str(future.execution_id))
        head = f"Authorization: Bearer {executor.token}"
        command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-X", method, url]
        ran = subprocess.run([*command, "-H", head], capture_output=True, timeout=60)
        # Without a body the submissions are refused, by who knows what should be in it.
        assert ran.stdout in (b"200", b"415"), f"{method} {path}: {ran.stdout!r}"


def test_the_metaflow_flow_runs(tmp_path: Path) -> None:
    (code,) = FLOW
    head = "from dspyx import DSPyPipelineExecutor\n\n"
    data = "def load_data():\n    return [{'text': str(i)} for i in range(5)]\n\n"
    flow = tmp_path / "flow.py"
    flow.write_text(f"{head}{data}{code}\n\nif __name__ == '__main__':\n    DSPyFlow()\n")
    env = {**os.environ, "METAFLOW_HOME": str(tmp_path), "USERNAME": "tester", "HOME": str(tmp_path)}
    command = [sys.executable, str(flow), "--no-pylint", "run"]

    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=300, text=True)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Processed 5/5 successfully" in ran.stdout
