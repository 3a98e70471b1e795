"""Programs that only Python can run as they are."""

from __future__ import annotations

import datetime
import os  # noqa: F401
from typing import Annotated, Any

import dspy
import pydantic
from dspy.utils.callback import BaseCallback


class Custom(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.ChainOfThought("question -> answer")

    def forward(self, question: str) -> Any:
        return self.answer(question=question.upper())


class Needs(dspy.Module):
    def __init__(self, something: str) -> None:
        super().__init__()


class Loud(dspy.Predict):
    def forward(self, **kwargs: Any) -> Any:
        return super().forward(**{name: str(it).upper() for name, it in kwargs.items()})


class Offline(dspy.LM):
    pass


class Shouting(dspy.ChatAdapter):
    def format_task_description(self, signature: Any) -> str:
        return super().format_task_description(signature).upper()


class Checked(pydantic.BaseModel):
    age: int

    @pydantic.field_validator("age")
    @classmethod
    def grown_up(cls, age: int) -> int:
        return max(age, 18)


class Stamped(pydantic.BaseModel):
    at: datetime.datetime = pydantic.Field(default_factory=datetime.datetime.now)


class Money:
    pass


def search(query: str) -> str:
    """Searches."""
    return query


def subclassed() -> dspy.Module:
    return Loud("question -> answer")


def overridden() -> dspy.Module:
    program = dspy.Predict("question -> answer")
    program.forward = lambda **_kwargs: dspy.Prediction(answer="always")  # type: ignore[method-assign]
    return program


def watched() -> dspy.Module:
    return dspy.Predict("question -> answer", callbacks=[BaseCallback()])


def own_model() -> dspy.Module:
    program = dspy.Predict("question -> answer")
    program.lm = Offline("openai/gpt-4o-mini")
    return program


def headers() -> dspy.Module:
    program = dspy.Predict("question -> answer")
    program.lm = dspy.LM("openai/gpt-4o-mini", extra_headers={"X-Team": "a"})
    return program


def own_adapter() -> dspy.Module:
    dspy.configure(adapter=Shouting())
    return dspy.Predict("question -> answer")


def agent() -> dspy.Module:
    return dspy.ReAct("question -> answer", tools=[search])


def _short(_inputs: Any, prediction: Any) -> float:
    return float(len(prediction.answer) < 9)


def rewarded() -> dspy.Module:
    return dspy.BestOfN(dspy.Predict("question -> answer"), N=2, reward_fn=_short, threshold=1.0)


def refined() -> dspy.Module:
    return dspy.Refine(dspy.Predict("question -> answer"), N=2, reward_fn=_short, threshold=1.0)


def coder() -> dspy.Module:
    program = dspy.ProgramOfThought.__new__(dspy.ProgramOfThought)
    return program


def _of(output: Any) -> dspy.Module:
    fields = {"question": (str, dspy.InputField()), "money": (output, dspy.OutputField())}
    return dspy.Predict(dspy.Signature(fields, "Answer."))


def validated() -> dspy.Module:
    return _of(Checked)


def own_rule() -> dspy.Module:
    return _of(list[Annotated[str, pydantic.Field(pattern="a+")]])


def made_default() -> dspy.Module:
    return _of(list[Stamped])


def own_type() -> dspy.Module:
    class Arbitrary(dspy.Signature):
        """Answer."""

        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        question: str = dspy.InputField()
        money: Money = dspy.OutputField()

    return dspy.Predict(Arbitrary)
