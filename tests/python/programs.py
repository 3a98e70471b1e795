"""Programs as people write them, which the native engine runs exactly."""

from __future__ import annotations

import enum
import types
from typing import Annotated, Any, Literal, Optional

import annotated_types
import dspy
import pydantic
from dspy.adapters.baml_adapter import BAMLAdapter
from dspy.utils.dummies import DummyLM

import dspyx

MODEL = "openai/stub"
# Another endpoint, which stands for a path of the stub.
ELSEWHERE = "http://127.0.0.1:9/elsewhere"


class Mood(enum.Enum):
    GLAD = "glad"
    SAD = "sad"


class Person(pydantic.BaseModel):
    """Somebody."""

    name: str
    age: int = pydantic.Field(ge=0, description="In years")
    moods: list[Mood] = []
    friend: Optional["Person"] = None


class Stop(pydantic.BaseModel):
    """Where a bus halts."""

    name: str = pydantic.Field(description="As on the sign")
    minute: int | None
    mood: Mood


class Triage(dspy.Signature):
    """Sort a letter.

    Be quick:
        - one line each
    """

    letter: str = dspy.InputField(desc="As it came")
    people: list[Person] = dspy.InputField()
    weight: float = dspy.InputField(ge=0, le=10.5)
    category: Literal["bill", "it's love", 'say "no"'] = dspy.OutputField()
    mood: Mood = dspy.OutputField(desc="The writer's")
    author: Optional[Person] = dspy.OutputField()
    scores: dict[str, list[float]] = dspy.OutputField()
    count: int | None = dspy.OutputField()
    anything: Any = dspy.OutputField()


Share = Annotated[float, pydantic.Field(ge=0, le=1)]


class Poll(pydantic.BaseModel):
    shares: dict[str, Share]
    seats: list[pydantic.PositiveInt] = []


class Count(dspy.Signature):
    """Count the votes."""

    votes: list[Annotated[int, pydantic.Field(ge=0)]] = dspy.InputField()
    winners: list[Annotated[str, pydantic.Field(min_length=1, max_length=40)]] = dspy.OutputField()
    margin: Optional[Annotated[int, annotated_types.Gt(0), annotated_types.Lt(100)]] = dspy.OutputField()
    rounds: list[Annotated[list[Share], pydantic.Field(max_length=3)]] = dspy.OutputField()
    poll: Poll = dspy.OutputField()


bounded = dspy.Predict(Count)
predict = dspy.Predict("question -> answer")
thoughtful = dspy.ChainOfThought("question, context: list[str] -> answer: str, score: float")
cot = dspy.ChainOfThought("question -> answer")
plain_triage = dspy.Predict(Triage)
triage = dspy.ChainOfThought(Triage)
warm = dspy.Predict("question -> answer", temperature=0.9, max_tokens=77, n=2)
own_rationale = dspy.ChainOfThought(
    "question -> answer", rationale_field=dspy.OutputField(desc="Step by step, in French")
)
best = dspy.BestOfN(
    dspy.ChainOfThought("question -> answer"),
    N=3,
    reward_fn=dspyx.Regex("answer", r"\d\d"),
    threshold=1.0,
)
short = dspy.BestOfN(
    dspy.Predict("question -> answer"),
    N=2,
    reward_fn=dspyx.Expression("len(answer) < 3 and 'a' in lower(answer)"),
    threshold=0.5,
    fail_count=1,
)


def with_demos() -> dspy.Module:
    program = dspy.ChainOfThought(Triage)
    full = dspy.Example(
        letter="Dear all,\n\n  «hello»\n",
        people=[Person(name="Ann", age=3)],
        weight=1e-07,
        reasoning="Clear.",
        category="it's love",
        mood=Mood.SAD,
        author=Person(name="Bo", age=0, friend=Person(name="Cy", age=9)),
        scores={"é": [1.0, 2.5]},
        count=None,
        anything=[1, {"a": None}],
    ).with_inputs("letter", "people", "weight")
    partial = dspy.Example(letter="Only this", mood=Mood.GLAD, note="not a field")
    program.predict.demos = [full, partial]
    return program


def compiled() -> dspy.Module:
    """As BootstrapFewShot leaves it: with demos that a model made, and the rest as they were."""
    examples = [
        dspy.Example(question=f"What is {it} + {it}?", answer=str(2 * it)).with_inputs("question")
        for it in range(4)
    ]
    answers = [{"reasoning": f"Twice {it}.", "answer": str(2 * it)} for it in range(4)]
    optimizer = dspy.BootstrapFewShot(
        metric=lambda example, prediction, trace=None: example.answer == prediction.answer,
        max_bootstrapped_demos=2,
        max_labeled_demos=4,
    )
    with dspy.context(lm=DummyLM(answers)):
        return optimizer.compile(dspy.ChainOfThought("question -> answer"), trainset=examples)


def reworded() -> dspy.Module:
    """As an optimizer of instructions leaves it."""
    program = dspy.Predict(Triage)
    program.signature = program.signature.with_instructions(
        "Sort.\n\n    Indented é “quoted”: yes\n\n# not a comment\n- a: b\ttab"
    )
    return program


def as_json() -> dspy.Module:
    dspy.configure(adapter=dspy.JSONAdapter())
    return dspy.ChainOfThought(Triage)


def as_xml() -> dspy.Module:
    # DSPy does not read back every nested value that it writes as XML.
    dspy.configure(adapter=dspy.XMLAdapter())
    return dspy.ChainOfThought("question, notes: list[str] -> answer, parts: list[str], score: float")


def as_baml() -> dspy.Module:
    dspy.configure(adapter=BAMLAdapter())
    custom = {"Stop": Stop}
    return dspy.Predict(dspy.Signature("question -> stops: list[Stop], far: bool", custom_types=custom))


def in_two_steps() -> dspy.Module:
    """What a first model writes freely, a second one elsewhere sorts into fields."""
    second = dspy.LM(MODEL, temperature=0.1, max_tokens=99, api_base=ELSEWHERE)
    dspy.configure(adapter=dspy.TwoStepAdapter(second))
    return dspy.Predict("question, context: list[str] -> answer: str, score: float")


def agent() -> dspy.Module:
    """With a tool of an MCP server, as `dspy.Tool.from_mcp_tool` makes it."""
    schema = {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What for"},
            "limit": {"type": "integer"},
        },
        "required": ["query"],
    }
    tool = types.SimpleNamespace(name="search", description="Searches.", inputSchema=schema)
    return dspy.ReAct("question -> answer", tools=[dspy.Tool.from_mcp_tool(None, tool)], max_iters=5)
