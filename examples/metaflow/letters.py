"""Letters of customers, sorted: a `foreach` over the branches, and in each one batch.

    pip install . metaflow
    PROGRAMS_DIR=examples/programs python examples/metaflow/letters.py run

Each task starts a server of its own, which goes with it. With DSPYX_URL and DSPYX_TOKEN all tasks,
on whatever machines, put their batches into one fleet instead.
"""

from __future__ import annotations

from collections import Counter

from dspyx import DSPyPipelineExecutor
from metaflow import FlowSpec, Parameter, step


class LettersFlow(FlowSpec):
    """Tells the sentiment of every letter, branch by branch."""

    letters = Parameter("letters", default=20, help="How many letters each branch got")

    @step
    def start(self):
        self.branches = ["north", "south", "west"]
        self.next(self.classify, foreach="branches")

    @step
    def classify(self):
        self.branch = self.input
        inputs = [{"text": f"Letter {it} to {self.branch}"} for it in range(self.letters)]
        with DSPyPipelineExecutor(max_workers=16) as executor:
            self.results = executor.execute_batch(model_id="sentiment", inputs_list=inputs)
        self.next(self.join)

    @step
    def join(self, tasks):
        self.counts = {}
        for task in tasks:
            succeeded = [it.outputs for it in task.results if it.success]
            self.counts[task.branch] = Counter(it["sentiment"] for it in succeeded)
        self.next(self.end)

    @step
    def end(self):
        for branch, counts in sorted(self.counts.items()):
            print(f"{branch}: {counts.total()} letters, {dict(counts)}")


if __name__ == "__main__":
    LettersFlow()
