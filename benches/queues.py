#!/usr/bin/env python3
"""Measures dspyx beside other queues: the same harness, alternated rounds, one JSON line a run.

    cargo build --release
    cargo build --release --manifest-path benches/peers/bullmq/Cargo.toml
    python3 benches/queues.py [--rounds 3] [--executions 100000] [--aof] [--only dspyx-50,bullmq-50]

Each run starts a Redis of its own on a free port, fills the queue with no-op jobs of 100 bytes,
drains it with one worker, then submits jobs one by one and waits for their results. At the end it
prints medians, and ratios to dspyx with as many slots. Celery is measured if VENV names a folder
with `celery[redis]`. Quote ratios, not absolute figures: machines differ and drift.
"""
import argparse
import json
import os
import socket
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from harness import run_peer  # noqa: E402

ROOT = os.path.dirname(HERE)
FIGURES = (
    "drain_per_s", "enqueue_per_s", "p50_ms", "p99_ms", "result_p50_ms", "result_p99_ms",
    "worker_cpu_us_per_job", "redis_cpu_us_per_job", "redis_cmds_per_job",
    "queued_bytes_per_job", "done_bytes_per_job", "idle_redis_cmds_per_s", "rss_mb",
)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def dspyx(slots, executions, latency, port):
    program = os.environ.get("DSPYX", os.path.join(ROOT, "target/release/dspyx"))
    # The folder of timestamps is known to the worker by QDIR alone.
    work = f'exec "{program}" bench peer work --slots {slots} --timestamps "$QDIR"'
    return dict(
        enqueue=[program, "bench", "peer", "enqueue", "--executions", str(executions)],
        worker=["sh", "-c", work],
        latency=[program, "bench", "peer", "latency", "--executions", str(latency)],
        env={"REDIS_URL": f"redis://127.0.0.1:{port}", "PIPELINE_LOG_LEVEL": "warn"},
    )


def bullmq(slots, executions, latency, port):
    built = os.environ.get("BULLMQ", os.path.join(HERE, "peers/bullmq/target/release/peer-bullmq"))
    return dict(
        enqueue=[built, "enq"], worker=[built, "work"], latency=[built, "lat"],
        env={"QCONC": str(slots)},
    )


def celery(slots, executions, latency, port):
    folder, bin_ = os.path.join(HERE, "peers/celery"), os.path.join(os.environ["VENV"], "bin")
    python, app = os.path.join(bin_, "python"), os.path.join(folder, "app.py")
    worker = [os.path.join(bin_, "celery"), "-A", "app", "worker", "-P", "prefork", "-c", "2",
              "-l", "WARNING", "--without-gossip", "--without-mingle"]
    return dict(
        enqueue=[python, app, "enq"], worker=worker, latency=[python, app, "lat"],
        env={"PYTHONPATH": folder}, cwd=folder,
    )


def measure(name, args):
    kind, _, slots = name.partition("-")
    peer = {"dspyx": dspyx, "bullmq": bullmq, "celery": celery}[kind]
    executions = min(args.executions, 5000) if kind == "celery" else args.executions
    port = free_port()
    commands = peer(slots or "0", executions, args.latency, port)
    return run_peer(name, n=executions, port=port, aof=args.aof, lat_n=args.latency, **commands)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--latency", type=int, default=300)
    parser.add_argument("--aof", action="store_true")
    parser.add_argument("--only", default="dspyx-50,bullmq-50,dspyx-256,bullmq-256")
    args = parser.parse_args()
    names = args.only.split(",") + (["celery"] if os.environ.get("VENV") else [])
    runs = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            runs[name].append(measure(name, args))
    for name, rows in runs.items():
        medians = {
            figure: statistics.median(row[figure] for row in rows if figure in row)
            for figure in FIGURES if any(figure in row for row in rows)
        }
        rates = [row["drain_per_s"] for row in rows]
        print(json.dumps({"median": name, "drain_range": [min(rates), max(rates)], **medians}))


if __name__ == "__main__":
    main()
