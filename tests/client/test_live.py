"""Live modules: natively where that is exact, else by a Python of ours with the caller's packages."""

from __future__ import annotations

import json
import logging
import multiprocessing
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import pytest
from conftest import HERE, SOON_SECONDS

from dspyx import DSPyModelLoader, DSPyPipelineExecutor, DspyxError
from dspyx.live import _renamed

KEY = "sk-0123456789abcdef"
OTHER_KEY = "sk-fedcba9876543210"


class Shout(dspy.Module):  # type: ignore[misc]
    """Has code of its own, so it is Python that runs it."""

    def __init__(self, mark: str = "!") -> None:
        super().__init__()
        self.mark = mark
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        text = self.answer(question=question).answer.upper()
        return dspy.Prediction(answer=text + self.mark, python=sys.executable)


class Fixed(dspy.BaseLM):  # type: ignore[misc]
    """A client of one's own."""

    def __init__(self) -> None:
        super().__init__(model="fixed")

    def forward(self, prompt: Any = None, messages: Any = None, **_: Any) -> Any:
        from types import SimpleNamespace as It

        text = "[[ ## answer ## ]]\nfixed\n\n[[ ## completed ## ]]"
        message = It(content=text, tool_calls=None)
        choice = It(message=message, finish_reason="stop")
        return It(choices=[choice], usage={"total_tokens": 1}, model="fixed")


@pytest.fixture(autouse=True)
def _model() -> Iterator[None]:
    with dspy.context(lm=dspy.LM("dummy/mine")):
        yield


def registered(executor: DSPyPipelineExecutor) -> dict[str, str]:
    """The runtime of each program that was handed over."""
    programs = executor._connected().run(_list())
    is_live = re.compile(r".*-[0-9a-f]{12}")
    return {it["program_id"]: it["runtime"] for it in programs if is_live.fullmatch(it["program_id"])}


def _list() -> Any:
    from dspyx import calls

    return (yield from calls.get("/programs"))["programs"]


def files(executor: DSPyPipelineExecutor) -> bytes:
    """Everything in the server's folder."""
    assert executor._server is not None
    found = [it for it in executor._server.folder.rglob("*") if it.is_file()]
    return b"".join(it.read_bytes() for it in found)


def test_dspys_own_modules_run_natively(executor: DSPyPipelineExecutor) -> None:
    program = dspy.ChainOfThought("question -> answer, score: int")

    first = executor.execute(program=program, inputs={"question": "a"}, mode="debug")
    second = executor.execute(program=program, inputs={"question": "b"})

    assert first.success and first.program_name == "ChainOfThought"
    assert first.outputs is not None and isinstance(first.outputs["score"], int)
    assert "dummy/mine" in first.metadata["usage"] and second.success
    assert list(registered(executor).values()) == ["native"]


def test_code_of_ones_own_runs_in_this_python(
    executor: DSPyPipelineExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dspyx")

    result = executor.execute(program=Shout("?"), inputs={"question": "a"})
    batch = executor.execute_batch(program=Shout, inputs_list=[{"question": "a"}] * 3)

    assert result.outputs is not None and result.program_name == "Shout"
    assert result.outputs["answer"].startswith("(OFFLINE DUMMY MODEL) ANSWER: ")
    assert result.outputs["answer"].endswith("?") and result.outputs["python"] == sys.executable
    assert all(it.outputs and it.outputs["answer"].endswith("!") for it in batch)
    assert set(registered(executor).values()) == {"python"}
    assert "Shout runs in Python: the module `Shout`: its `forward` is code" in caplog.text


def test_a_changed_program_is_another(executor: DSPyPipelineExecutor) -> None:
    shout, predict = Shout(), dspy.Predict("question -> answer")

    for program in (shout, predict):
        executor.execute(program=program, inputs={"question": "a"})
        executor.execute(program=program, inputs={"question": "a"})
    assert len(registered(executor)) == 2

    shout.mark = "?"
    predict.signature = predict.signature.with_instructions("Be brief.")
    changed = executor.execute(program=shout, inputs={"question": "a"})
    executor.execute(program=predict, inputs={"question": "a"})
    assert changed.outputs is not None and changed.outputs["answer"].endswith("?")
    assert len(registered(executor)) == 4


def test_inputs_of_a_python_program_are_checked_without_running_it(
    executor: DSPyPipelineExecutor,
) -> None:
    checked = [
        executor.execute(program=Shout, inputs=it, mode="dry_run")
        for it in ({"question": "a"}, {}, {"question": "a", "other": 1})
    ]

    assert [it.success for it in checked] == [True, False, False]
    assert checked[1].error == "Missing required input fields: ['question']"
    assert "other" in str(checked[2].error) and checked[2].error_kind == "validation"


def test_the_callers_model_and_adapter_are_used(executor: DSPyPipelineExecutor) -> None:
    with dspy.context(lm=Fixed()):
        fixed = executor.execute(program=dspy.Predict("question -> answer"), inputs={"question": "a"})
    assert fixed.success, fixed.error
    assert fixed.outputs == {"answer": "fixed"}
    assert set(registered(executor).values()) == {"python"}

    for adapter in (dspy.JSONAdapter(), dspy.XMLAdapter()):
        with dspy.context(adapter=adapter):
            result = executor.execute(program=Shout, inputs={"question": "b"}, mode="debug")
        step = result.metadata["debug_trace"]["steps"][0]
        asked = json.dumps(step["request"]["messages"])
        assert ("<answer>" in asked) == isinstance(adapter, dspy.XMLAdapter)


def keyed(stub: str, key: str | None) -> dspy.LM:
    return dspy.LM("openai/stub", api_base=stub, api_key=key, cache=False)


def with_key(key: str) -> Shout:
    """A program whose predictor has a model of its own, with a key of its own."""
    shout = Shout()
    shout.answer.lm = dspy.LM("openai/stub", api_key=key, cache=False)
    return shout


def test_keys_come_to_the_server_and_never_into_its_files(
    executor: DSPyPipelineExecutor,
    stub: str,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("LM_API_BASE", stub)
    with dspy.context(lm=keyed(stub, KEY)):
        native = executor.execute(program=dspy.Predict("question -> answer"), inputs={"question": "a"})
        python = executor.execute(program=Shout, inputs={"question": "b"})
    own = executor.submit(program=with_key(KEY), inputs={"question": "c"})
    owns = own.result(timeout=SOON_SECONDS)

    assert native.outputs == {"answer": "stubbed"}, native.error
    for result in (python, owns):
        assert result.outputs is not None and result.outputs["answer"] == "STUBBED!", result.error
    assert [it["authorization"] for it in asked] == [f"Bearer {KEY}"] * 3
    assert KEY.encode() not in files(executor)


@pytest.mark.parametrize("other", [OTHER_KEY, None])
def test_one_program_does_not_ask_with_two_keys(
    executor: DSPyPipelineExecutor, stub: str, asked: list[dict[str, Any]], other: str | None
) -> None:
    react = dspy.ReAct("question -> answer", tools=[])
    first, second = (it for _, it in react.named_predictors())
    first.lm, second.lm = keyed(stub, KEY), keyed(stub, other)

    with pytest.raises(DspyxError, match="different keys.*give all of them the same `api_key`"):
        executor.execute(program=react, inputs={"question": "a"})
    assert asked == []


def test_the_key_of_one_program_is_not_used_by_others(
    executor: DSPyPipelineExecutor,
    stub: str,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("LM_API_BASE", stub)
    first = with_key(KEY)
    second = with_key(OTHER_KEY)

    assert executor.execute(program=first, inputs={"question": "a"}).success
    with pytest.raises(DspyxError, match="another key than OPENAI_API_KEY"):
        executor.execute(program=second, inputs={"question": "b"})
    with DSPyPipelineExecutor() as its_own:
        assert its_own.execute(program=second, inputs={"question": "b"}).success
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        with pytest.raises(DspyxError, match="set OPENAI_API_KEY to it"):
            its_own.execute(program=second, inputs={"question": "c"})
    assert executor.execute(program=first, inputs={"question": "d"}).success
    asked_with = [it["authorization"] for it in asked]
    assert asked_with == [f"Bearer {it}" for it in (KEY, OTHER_KEY, KEY)]


def test_a_key_for_an_endpoint_past_the_gateway_is_refused(
    executor: DSPyPipelineExecutor, stub: str, asked: list[dict[str, Any]]
) -> None:
    shout = Shout()
    shout.answer.lm = keyed(stub, KEY)

    with pytest.raises(DspyxError, match="sets api_base.*the model of the whole program"):
        executor.execute(program=shout, inputs={"question": "a"})
    assert asked == []


def test_a_key_in_an_attribute_is_not_written(
    executor: DSPyPipelineExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_API_KEY", KEY)
    with pytest.raises(DspyxError, match="holds the key SEARCH_API_KEY"):
        executor.execute(program=Shout(KEY), inputs={"question": "a"})


def test_a_server_elsewhere_gets_program_files_and_no_pickles(
    executor: DSPyPipelineExecutor,
) -> None:
    there = DSPyPipelineExecutor(url=executor.url, token=executor.token)

    native = there.execute(program=dspy.Predict("question -> answer"), inputs={"question": "a"})
    loaded = DSPyModelLoader().load_from_config(HERE / "configs/email_assistant.yaml")
    from_file = there.execute(program=loaded["program"], inputs={"recipient": "r"})

    assert native.success and from_file.success, (native.error, from_file.error)
    assert from_file.program_name == "email-assistant"
    with pytest.raises(DspyxError, match="only run by a server that this executor has started"):
        there.execute(program=Shout, inputs={"question": "a"})
    with (
        dspy.context(lm=keyed("http://127.0.0.1:9/v1", KEY)),
        pytest.raises(DspyxError, match="a server elsewhere is sent none: leave it out here"),
    ):
        there.execute(program=dspy.Predict("question -> answer"), inputs={"question": "a"})


def test_what_waits_in_a_data_dir_is_run_after_a_restart(tmp_path: Path) -> None:
    with DSPyPipelineExecutor(data_dir=tmp_path) as executor:
        future = executor.submit(program=Shout, inputs={"question": "a"}, delay=1)
    with DSPyPipelineExecutor(data_dir=tmp_path) as executor:
        from dspyx import ExecutionFuture
        from dspyx.calls import Program

        record = {"execution_id": future.execution_id, "status": "scheduled"}
        again = ExecutionFuture(executor._connected(), Program("shout", "Shout"), record)
        result = again.result(timeout=60)

    assert result.outputs is not None and result.outputs["answer"].endswith("!"), result.error


def test_program_files_are_loaded(executor: DSPyPipelineExecutor, tmp_path: Path) -> None:
    loader = DSPyModelLoader()
    data = loader.load_from_config(str(HERE / "configs/email_assistant.yaml"))
    assert (data["name"], data["version"], data["runtime"]) == ("email-assistant", "1.0.0", "native")
    assert data["input_schema"]["required"] == ["recipient"]
    assert data["signatures"][0]["name"] == "draft"
    assert executor.execute(program=data["program"], inputs={"recipient": "r"}).success

    beside = tmp_path / "mine.yaml"
    code = "import dspy\nclass Mine(dspy.Module):\n    def forward(self, a):\n"
    (tmp_path / "mine.py").write_text(code + "        return dspy.Prediction(b=a + 1)\n")
    beside.write_text(
        "source: {type: local, path: mine.py, class_name: Mine}\n"
        f"python: {sys.executable}\n"
    )
    program = loader.load_from_config(beside)["program"]
    assert executor.execute(program=program, inputs={"a": 1}).outputs == {"b": 2}

    beside.write_text("signatur: x\n")
    with pytest.raises(DspyxError, match="did you mean `signatures`"):
        loader.load_from_config(beside)
    with pytest.raises(FileNotFoundError, match="no program file nowhere.yaml"):
        loader.load_from_config("nowhere.yaml")


def test_a_program_that_was_forgotten_is_made_known_again(
    executor: DSPyPipelineExecutor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dspyx.live.PROGRAMS_MAX", 1)
    file = tmp_path / "echo.yaml"
    file.write_text((HERE / "programs" / "fast-program.yaml").read_text())
    loaded = DSPyModelLoader().load_from_config(str(file))["program"]
    programs = [dspy.Predict("question -> answer"), dspy.Predict("question -> reply")] * 2

    for program in programs:
        done = executor.execute(program=program, inputs={"question": "a"}, mode="dry_run")
        assert done.success, done.error
    for number in range(2):
        assert executor.execute(program=loaded, inputs={"input": number}).success

    registrar = executor._registrar
    assert registrar is not None
    for kept in (registrar._known, registrar._loaded, registrar._refusals):
        assert len(kept) == 1


def test_a_child_that_is_forked_while_a_program_is_made_known_can_go_on(
    executor: DSPyPipelineExecutor,
) -> None:
    program = dspy.Predict("question -> answer")
    assert executor.execute(program=program, inputs={"question": "a"}).success
    is_held, is_forked = threading.Event(), threading.Event()

    def hold() -> None:
        assert executor._registrar is not None
        with executor._registrar._lock:
            is_held.set()
            is_forked.wait(SOON_SECONDS)

    def run() -> None:
        assert executor.execute(program=program, inputs={"question": "b"}).success

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(SOON_SECONDS)
    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    try:
        child.join(SOON_SECONDS)
        assert child.exitcode == 0
    finally:
        is_forked.set()
        holder.join()
        child.kill()


@pytest.mark.parametrize(
    "text",
    [
        "name: a\nsignature: x -> y\n",
        "id: a\nname: b\nsignature: x -> y\n",
        "---\nname: a\nsignature: x -> y\n",
        '{"id": "a", "signature": "x -> y"}',
        "# A comment.\n\nsignature: x -> y\n",
    ],
)
def test_a_program_file_gets_another_id(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(_renamed(text, "other-1"))
    assert DSPyModelLoader().load_from_config(path)["program_id"] == "other-1"

