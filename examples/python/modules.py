"""DSPy's modules as its documentation shows them, which only Python runs.

A program file names one: `source: {type: local, path: modules.py, class_name: agent}`.
"""

import asyncio

from typing import Literal

import dspy
import pydantic

HILLS = {"Ben Nevis": "1,345 metres", "Snowdon": "1,085 metres"}


def height(hill: str) -> str:
    """How high a hill is."""
    return HILLS.get(hill, "unknown")


def feet(metres: float) -> int:
    """Metres in feet."""
    return round(metres / 0.3048)


agent = dspy.ReAct("question -> answer: str", tools=[height], max_iters=5)

# These run what the model writes, in DSPy's sandbox: `pip install "dspy[deno]"`. Where that cannot be,
# `interpreter_factory=dspy.LocalInterpreter` does without a sandbox.
calculator = dspy.ProgramOfThought("question -> answer: int")

coder = dspy.CodeAct("hill -> answer: int", tools=[feet], max_iters=2)

reader = dspy.RLM("text, question -> answer: str", max_iters=3)


def is_short(args: dict, prediction: dspy.Prediction) -> float:
    return 1.0 if len(prediction.answer) <= 5 else 0.0


best = dspy.BestOfN(
    dspy.ChainOfThought("question -> answer"), N=3, reward_fn=is_short, threshold=1.0
)

refined = dspy.Refine(
    dspy.ChainOfThought("question -> answer"), N=2, reward_fn=is_short, threshold=1.0
)


class Summaries(dspy.Module):
    """Many at once, by threads."""

    def __init__(self):
        super().__init__()
        self.summarize = dspy.Predict("text -> summary")

    def forward(self, texts: list[str]):
        pairs = [(self.summarize, dspy.Example(text=it).with_inputs("text")) for it in texts]
        made = dspy.Parallel(num_threads=4, disable_progress_bar=True)(pairs)
        return dspy.Prediction(summaries=[it.summary for it in made])


class Hop(dspy.Module):
    """Searches, reads, and searches again."""

    def __init__(self, hops: int = 2):
        super().__init__()
        self.hops = hops
        self.query = dspy.ChainOfThought("claim, notes: list[str] -> query")
        self.note = dspy.ChainOfThought("claim, passage -> note")

    def forward(self, claim: str):
        notes: list[str] = []
        for _ in range(self.hops):
            query = self.query(claim=claim, notes=notes).query
            notes.append(self.note(claim=claim, passage=f"about {query}").note)
        return dspy.Prediction(notes=notes)


class Person(pydantic.BaseModel):
    name: str
    role: Literal["author", "editor"]


class Extract(dspy.Signature):
    """Who made it?"""

    page: str = dspy.InputField()
    people: list[Person] = dspy.OutputField()


extract = dspy.Predict(Extract)


class Both(dspy.Module):
    """Two models, asked at the same time."""

    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    async def aforward(self, question: str):
        async def by(model: str) -> str:
            with dspy.context(lm=dspy.LM(model)):
                return (await self.ask.acall(question=question)).answer

        return dspy.Prediction(answers=await asyncio.gather(by("openai/one"), by("openai/two")))


class Vote(dspy.Module):
    """Several answers, the most common of them, and a comparison of all."""

    def __init__(self):
        super().__init__()
        self.ask = dspy.ChainOfThought("question -> answer", n=3, temperature=0.9)
        self.compare = dspy.MultiChainComparison("question -> answer", M=3)

    def forward(self, question: str):
        asked = self.ask(question=question)
        common = dspy.majority(asked.completions, field="answer").answer
        pairs = zip(asked.completions.reasoning, asked.completions.answer)
        tries = [{"reasoning": why, "answer": answer} for why, answer in pairs]
        compared = self.compare(tries, question=question).answer
        return dspy.Prediction(common=common, compared=compared)
