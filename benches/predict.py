#!/usr/bin/env python3
"""Measures `dspy.Predict` over HTTP beside the real package: one stub, in turn, each on one core.

    cargo bench -p workers --bench predict --no-run
    target/venv/bin/python benches/predict.py [--rounds 3]

The package takes its fast path: a model that its price list knows, no cache, one call at a time
(more at once are slower). The engine is measured with one call at a time, with 64, and with 5,000
in flight against a stub that takes two seconds. Calls per second of CPU are what one core can do;
the stub has the other core. Quote the ratios: machines differ and drift.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = """
import json, resource, sys, time
import dspy
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", api_base=f"http://{sys.argv[1]}/v1", api_key="x",
                          cache=False, num_retries=0), disable_history=True)
predict, calls = dspy.Predict("question -> answer"), int(sys.argv[2])
ask = lambda: predict(question="What is the capital of France?")
for _ in range(100): assert ask().answer == "Paris"
began, cpu = time.perf_counter(), time.process_time()
for _ in range(calls): ask()
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
print(json.dumps({"calls_per_s": calls / seconds, "calls_per_cpu_s": calls / cpu,
                  "cpu_us_per_call": cpu * 1e6 / calls,
                  "rss_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


class Stub:
    def __init__(self, program, delay_ms):
        self.process = subprocess.Popen(
            [program, "stub", str(delay_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def last_line(command, **options):
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return json.loads(done.stdout.splitlines()[-1])


def newest():
    found = glob.glob(os.path.join(ROOT, "target/release/deps/predict-*"))
    found = [it for it in found if os.access(it, os.X_OK) and not it.endswith(".d")]
    if not found:
        sys.exit("build it first: cargo bench -p workers --bench predict --no-run")
    return max(found, key=os.path.getmtime)


def one_round(program, folder):
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "DSPY_CACHEDIR": folder}
    figures = {}
    with Stub(program, 0) as address:
        figures["package, 1 at a time"] = last_line(
            [sys.executable, "-c", PACKAGE, address, "1000"], env=environment)
        for in_flight, calls in ((1, 10000), (64, 30000)):
            figures[f"engine, {in_flight} at a time"] = last_line(
                [program, "calls", address, str(in_flight), str(calls)])
    with Stub(program, 2000) as address:
        figures["engine, 5000 in flight"] = last_line([program, "calls", address, "5000", "10000"])
    return figures


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=3)
    options, program = options.parse_args(), newest()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [one_round(program, folder) for _ in range(options.rounds)]
    keys = ("calls_per_s", "calls_per_cpu_s", "cpu_us_per_call", "rss_peak_mb")
    print(f"{'median of ' + str(len(rounds)):24}" + "".join(f"{key:>18}" for key in keys))
    for name in rounds[0]:
        medians = [statistics.median(it[name][key] for it in rounds) for key in keys]
        print(f"{name:24}" + "".join(f"{value:18,.1f}" for value in medians))
    base = "package, 1 at a time"
    for name in list(rounds[0])[1:3]:
        ratios = sorted(it[name]["calls_per_cpu_s"] / it[base]["calls_per_cpu_s"] for it in rounds)
        print(f"{name}: {statistics.median(ratios):.1f} times the package's calls per second of CPU"
              f" ({ratios[0]:.1f} to {ratios[-1]:.1f})")


if __name__ == "__main__":
    main()
