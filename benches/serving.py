#!/usr/bin/env python3
"""Measures a Python program behind dspyx beside the same one behind FastAPI: one stub, in turn.

    cargo build --release && cargo bench -p workers --bench predict --no-run
    target/venv/bin/python -m pip install fastapi uvicorn      # and wrk, from your system's packages
    target/venv/bin/python benches/serving.py [--rounds 3] [--delay-ms 0] [--seconds 8] [1 16 64 256]

FastAPI serves the app of DSPy's deployment tutorial, by `dspy.asyncify` with 64 threads and by
`acall`, in two processes. dspyx runs the same module in two processes too, on the embedded store: as it
is, which is in a loop, and called by a `forward` of one's own, which is in threads. A client waits for
each result (`Prefer: wait`). The arguments are how many clients ask at once.
All share the machine's cores with the stub and with wrk. Quote the ratios: machines differ and drift.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from predict import ROOT, Stub, newest

KEY = "a key of at least thirty-two bytes, for benches only"
PORTS = {"dspyx": 18421, "fastapi": 18422}
TUTORIAL = """
import os
import dspy
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()

class Question(BaseModel):
    text: str

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", api_base=os.environ["BASE"], api_key="x", cache=False),
               async_max_workers=64)
program = dspy.ChainOfThought("question -> answer")
run = dspy.asyncify(program) if os.environ["MODE"] == "asyncify" else program.acall

@app.post("/predict")
async def predict(question: Question):
    try:
        return {"status": "success", "data": (await run(question=question.text)).toDict()}
    except Exception as error:
        raise HTTPException(status_code=500, detail=str(error))

@app.get("/health")
async def health():
    return {}
"""
LOOP = """
import dspy
program = dspy.ChainOfThought("question -> answer")
"""
THREADS = """
import dspy

class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.ChainOfThought("question -> answer")

    def forward(self, question: str):
        return self.ask(question=question)
"""
FILE = """
name: {name}
lm: {{model: openai/gpt-4o-mini}}
cache: false
source: {{type: local, path: {name}.py}}
"""
WRK = """
wrk.method = "POST"
wrk.body = '%s'
wrk.headers["Content-Type"] = "application/json"
%s
done = function(summary, latency)
  io.write(string.format('{"rate":%%.1f,"p50_ms":%%.2f,"p99_ms":%%.2f,"errors":%%d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.errors.status + summary.errors.timeout))
end
"""


def until_up(url, process):
    for _ in range(600):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            if process.poll() is not None:
                sys.exit(f"it ended before {url} answered")
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


class Server:
    """A server and its processes, ended together."""

    def __init__(self, command, env, health):
        self.process = subprocess.Popen(
            command, env={**os.environ, **env}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_up(health, self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


def load(folder, url, body, headers, clients, seconds):
    lines = "\n".join(f'wrk.headers["{name}"] = "{it}"' for name, it in headers.items())
    script = os.path.join(folder, "wrk.lua")
    with open(script, "w") as file:
        file.write(WRK % (json.dumps(body), lines))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", script, url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(re.search(r"^\{.*\}$", done.stdout, re.M)[0])


def fastapi(folder, stub, mode, counts, seconds):
    port = PORTS["fastapi"]
    with open(os.path.join(folder, "tutorial.py"), "w") as file:
        file.write(TUTORIAL)
    command = [sys.executable, "-m", "uvicorn", "tutorial:app", "--app-dir", folder, "--port", str(port),
               "--workers", "2", "--log-level", "error", "--no-access-log"]
    env = {"BASE": f"http://{stub}/v1", "MODE": mode, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    url, body = f"http://127.0.0.1:{port}/predict", {"text": "What is the capital of France?"}
    with Server(command, env, f"http://127.0.0.1:{port}/health"):
        load(folder, url, body, {}, 8, 3)
        return [load(folder, url, body, {}, it, seconds) for it in counts]


def dspyx(folder, stub, program, counts, seconds):
    binary, port = os.path.join(ROOT, "target/release/dspyx"), PORTS["dspyx"]
    programs = os.path.join(folder, "programs")
    os.makedirs(programs, exist_ok=True)
    for name, text in (("threads", THREADS), ("loop", LOOP)):
        with open(os.path.join(programs, f"{name}.py"), "w") as file:
            file.write(text)
        with open(os.path.join(programs, f"{name}.yaml"), "w") as file:
            file.write(FILE.format(name=name))
    env = {"SECRET_KEY": KEY, "API_PORT": str(port), "PROGRAMS_DIR": programs,
           "DATABASE_PATH": os.path.join(folder, f"{program}.db"), "DSPYX_PYTHON": sys.executable,
           "LM_API_BASE": f"http://{stub}/v1", "LM_API_KEY": "x", "PYTHON_PROCESSES": "2"}
    made = subprocess.run([binary, "token", "create", "--subject", "bench", "--scope", "execute,read"],
                          env={**os.environ, **env}, check=True, capture_output=True, text=True)
    headers = {"Authorization": f"Bearer {made.stdout.strip()}", "Prefer": "wait=30"}
    url = f"http://127.0.0.1:{port}/api/v1/dspy/execute"
    body = {"program_id": program, "inputs": {"question": "What is the capital of France?"}}
    with Server([binary, "serve"], env, f"http://127.0.0.1:{port}/api/v1/dspy/health/ready"):
        load(folder, url, body, headers, 8, 3)
        return [load(folder, url, body, headers, it, seconds) for it in counts]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("clients", nargs="*", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay-ms", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=8)
    args = parser.parse_args()
    ways = {
        "FastAPI, asyncify": lambda *it: fastapi(*it[:2], "asyncify", *it[2:]),
        "FastAPI, acall": lambda *it: fastapi(*it[:2], "acall", *it[2:]),
        "dspyx, in threads": lambda *it: dspyx(*it[:2], "threads", *it[2:]),
        "dspyx, in a loop": lambda *it: dspyx(*it[:2], "loop", *it[2:]),
    }
    found = {name: [[] for _ in args.clients] for name in ways}
    for _ in range(args.rounds):
        for name, measure in ways.items():
            with tempfile.TemporaryDirectory() as folder, Stub(newest(), args.delay_ms) as stub:
                for place, it in zip(found[name], measure(folder, stub, args.clients, args.seconds)):
                    place.append(it)
    for at, clients in enumerate(args.clients):
        for name in ways:
            rounds = found[name][at]
            middle = {key: statistics.median(it[key] for it in rounds) for key in rounds[0]}
            print(json.dumps({"clients": clients, "way": name, **middle}))


if __name__ == "__main__":
    main()
