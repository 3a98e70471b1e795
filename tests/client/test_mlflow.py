"""With `mlflow_tracking=True` a real server of MLflow knows what was run when the process ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from dspyx import DSPyPipelineExecutor

START_SECONDS = 120.0
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[str]:
    """The address of a server of MLflow."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", "sqlite:///mlflow.db"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **QUIET},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait(url, process)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server of MLflow does not start")


def test_executions_are_in_mlflow_when_the_executor_is_gone(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    with DSPyPipelineExecutor(mlflow_tracking=True) as executor:
        assert executor.get_execution_stats()["mlflow_tracking"] is True
        executor.execute(model_id="fast-program", inputs={"input": 1})
        executor.execute_batch(model_id="summarizer-v2", inputs_list=[{"text": "a"}] * 3)
    with DSPyPipelineExecutor(mlflow_tracking=False) as executor:
        assert executor.get_execution_stats()["mlflow_tracking"] is False
        executor.execute(model_id="cached-program", inputs={"a": 1})

    client = mlflow.MlflowClient(tracking_uri=tracking)
    experiment = client.get_experiment_by_name("dspy-execution")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=50)
    names = [it.data.params.get("program_name") for it in runs]
    assert "cached-program" not in names and names.count("fast-program") == 1
    (run,) = [it for it in runs if it.data.params.get("program_name") == "fast-program"]
    assert run.data.metrics["success"] == 1.0 and "execution_time" in run.data.metrics
    assert run.data.params["mode"] == "normal"
    assert names.count("summarizer-v2") >= 3
