#!/usr/bin/env python3
"""Measures the engine beside the real package: rendering and parsing, in turn, on one core.

    cargo bench -p dspy --bench adapter --no-run
    taskset -c 0 target/venv/bin/python benches/rendering.py [--rounds 5]

Each round runs both. At the end it prints the medians and their ratios. Quote the ratios: machines
differ and drift.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPED = "context: list[str], question -> answer: str, score: float, ok: bool, tags: list[str]"
OUTPUTS = {"answer": "Paris", "score": 0.5, "ok": True, "tags": ["a"]}
QUESTION = {"question": "What is the capital of France?"}


def package(seconds):
    """The package's figures, in microseconds."""
    import dspy

    demos = [{"question": f"question number {i}?", "answer": f"answer {i}"} for i in range(8)]
    programs = {
        "one field": ("question -> answer", [], QUESTION),
        "typed": (TYPED, [], {"context": ["a", "b"], "question": "q"}),
        "eight demos": ("question -> answer", demos, QUESTION),
    }
    figures = {}
    for name, (text, demos, inputs) in programs.items():
        signature = dspy.Signature(text)
        outputs = {key: OUTPUTS[key] for key in signature.output_fields}
        for kind, adapter in (("chat", dspy.ChatAdapter()), ("json", dspy.JSONAdapter())):
            reply = json.dumps(outputs)
            if kind == "chat":
                reply = adapter.format_assistant_message_content(signature, outputs)
            figures[name, f"{kind}_format_us"] = micros(
                lambda: adapter.format(signature, demos, inputs), seconds)
            figures[name, f"{kind}_parse_us"] = micros(
                lambda: adapter.parse(signature, reply), seconds)
    return figures


def micros(call, seconds):
    for _ in range(50):
        call()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        call()
        calls += 1
    return (time.perf_counter() - began) * 1e6 / calls


def engine(program):
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    figures = {}
    for line in map(json.loads, lines):
        name = line.pop("program")
        figures.update({(name, key): value for key, value in line.items()})
    return figures


def newest():
    found = glob.glob(os.path.join(ROOT, "target/release/deps/adapter-*"))
    found = [it for it in found if os.access(it, os.X_OK) and not it.endswith(".d")]
    if not found:
        sys.exit("build it first: cargo bench -p dspy --bench adapter --no-run")
    return max(found, key=os.path.getmtime)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=0.3, help="for one figure of the package")
    options = options.parse_args()
    program, rounds = newest(), []
    for _ in range(options.rounds):
        rounds.append((package(options.seconds), engine(program)))
    print(f"{'':12} {'':16} {'package':>9} {'engine':>9}  us, ratio of medians (of each round)")
    for key in rounds[0][0]:
        theirs = statistics.median(it[0][key] for it in rounds)
        ours = statistics.median(it[1][key] for it in rounds)
        ratios = sorted(it[0][key] / it[1][key] for it in rounds)
        print(f"{key[0]:12} {key[1]:16} {theirs:9.1f} {ours:9.3f}  {theirs / ours:6.1f} x"
              f" ({ratios[0]:.0f} to {ratios[-1]:.0f})")


if __name__ == "__main__":
    main()
