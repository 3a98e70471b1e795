"""What callers get back: results, errors in them, and exceptions only where nothing could be run."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import SOON_SECONDS, until

import dspyx
from dspyx import DSPyPipelineExecutor, ExecutionMode, ExecutionResult, calls

SEED_FIELDS = ("success", "outputs", "error", "execution_time", "program_name", "metadata")


def test_a_result_has_the_fields_of_the_document(executor: DSPyPipelineExecutor) -> None:
    result = executor.execute(model_id="fast-program", inputs={"input": 1})

    assert all(hasattr(result, it) for it in SEED_FIELDS)
    assert result.success and result.error is None and result.error_kind is None
    assert result.outputs is not None and set(result.outputs) == {"output"}
    assert result.program_name == "fast-program" and result.execution_time >= 0
    assert pickle.loads(pickle.dumps(result)) == result
    assert result.raise_for_error() is result


def test_errors_are_in_the_result_until_they_are_raised(executor: DSPyPipelineExecutor) -> None:
    unknown = executor.execute(model_id="xyz", inputs={})
    missing = executor.execute(model_id="email-assistant-v1", inputs={"context": "c"})
    checked = executor.execute(
        model_id="email-assistant-v1", inputs={}, mode=ExecutionMode.DRY_RUN
    )
    wrong = executor.execute(model_id="fast-program", inputs={"input": "many"})

    assert unknown.error == "Model xyz not found in registry"
    for result in (missing, checked):
        assert result.error == "Missing required input fields: ['recipient', 'subject']"
    for result, error in (
        (unknown, dspyx.ProgramNotFound),
        (missing, dspyx.InvalidInputs),
        (checked, dspyx.InvalidInputs),
        (wrong, dspyx.InvalidInputs),
    ):
        with pytest.raises(error) as raised:
            result.raise_for_error()
        assert pickle.loads(pickle.dumps(raised.value)).result == result
        assert str(raised.value) == result.error


def test_modes(executor: DSPyPipelineExecutor) -> None:
    def run(mode: ExecutionMode | str) -> ExecutionResult:
        return executor.execute(model_id="fast-program", inputs={"input": 1}, mode=mode)

    assert run("dry_run").metadata["validation_passed"] is True
    (step,) = run(ExecutionMode.DEBUG).metadata["debug_trace"]["steps"]
    assert step["request"]["messages"] and "debug_trace" not in run("normal").metadata
    with pytest.raises(ValueError, match="is not a valid ExecutionMode"):
        run("fast")


def test_a_batch_keeps_its_order_and_fails_by_item(executor: DSPyPipelineExecutor) -> None:
    inputs: list[dict[str, Any]] = [{"input": it} for it in range(300)]
    inputs[7] = {"output": 1}

    results = executor.execute_batch(model_id="fast-program", inputs_list=inputs)
    alone = executor.execute(model_id="fast-program", inputs={"input": 299})

    assert [it.success for it in results] == [it != 7 for it in range(300)]
    assert results[7].error == "Missing required input fields: ['input']"
    assert results[299].outputs == alone.outputs != results[298].outputs
    assert executor.execute_batch(model_id="fast-program", inputs_list=[]) == []
    unknown = executor.execute_batch(model_id="xyz", inputs_list=[{}, {}])
    assert [it.error for it in unknown] == ["Model xyz not found in registry"] * 2


def test_a_batch_may_be_of_any_length_and_come_from_an_iterator(
    executor: DSPyPipelineExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dspyx.upload.ITEMS_MAX", 500)
    inputs = ({} if it == 1_700 else {"input": it} for it in range(2_200))
    run = executor.execute_batch

    results = run(model_id="fast-program", inputs_list=inputs, cache=False, metadata={"a": "b"})

    assert [it.success for it in results] == [it != 1_700 for it in range(2_200)]
    assert results[1_700].error == "Missing required input fields: ['input']"
    assert results[0].metadata["a"] == "b"
    (batch,) = executor._connected().run(calls.get("/batches"))["batches"]
    assert batch["total"] == 2_200
    alone = executor.execute(model_id="fast-program", inputs={"input": 2_199})
    assert results[2_199].outputs == alone.outputs != results[2_198].outputs
    unknown = run(model_id="xyz", inputs_list=[{}] * 1_100)
    assert [it.error for it in unknown] == ["Model xyz not found in registry"] * 1_100


def test_inputs_that_fail_on_the_way_leave_no_batch_behind(
    executor: DSPyPipelineExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dspyx.upload.ITEMS_MAX", 5)

    def inputs() -> Iterator[dict[str, Any]]:
        yield from ({"input": it} for it in range(12))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        executor.execute_batch(model_id="fast-program", inputs_list=inputs())
    assert is_called_off(executor)


def test_max_workers_at_a_server_elsewhere_is_the_batchs(executor: DSPyPipelineExecutor) -> None:
    there = DSPyPipelineExecutor(max_workers=2, url=executor.url, token=executor.token)
    there.execute_batch(model_id="fast-program", inputs_list=[{"input": 1}])
    (batch,) = there._connected().run(calls.get("/batches"))["batches"]
    assert batch["concurrency"] == 2


def test_equal_executions_are_answered_from_the_cache_until_it_is_cleared() -> None:
    def is_hit(executor: DSPyPipelineExecutor) -> bool:
        result = executor.execute(model_id="cached-program", inputs={"a": 1})
        return bool(result.metadata["cache_hit"])

    with DSPyPipelineExecutor() as executor:
        assert [is_hit(executor), is_hit(executor)] == [False, True]
        executor.clear_cache()
        assert not is_hit(executor)
    with DSPyPipelineExecutor(cache_enabled=False) as executor:
        assert [is_hit(executor), is_hit(executor)] == [False, False]


def test_stats_count_what_was_run(executor: DSPyPipelineExecutor) -> None:
    before = executor.get_execution_stats()
    executor.execute_batch(model_id="fast-program", inputs_list=[{"input": 1}, {}])
    after = executor.get_execution_stats()

    assert before["total_executions"] == 0 and f"{before['success_rate']:.2%}" == "0.00%"
    assert f"{before['average_execution_time']:.2f} {before['p95_execution_time']:.2f}" == "0.00 0.00"
    assert (after["total_executions"], after["successful_executions"]) == (2, 1)
    assert after["success_rate"] == 0.5 and after["cache_enabled"] is True


def test_futures_are_looked_at_later(executor: DSPyPipelineExecutor) -> None:
    futures = [
        executor.submit(model_id="fast-program", inputs={"input": it}) for it in range(50)
    ]
    late = executor.submit(model_id="fast-program", inputs={"input": 999}, delay=3600)
    refused = executor.submit(model_id="xyz", inputs={})

    ended = list(dspyx.as_completed([*futures, refused], timeout=60))
    assert len(ended) == 51 and set(ended) == {*futures, refused}
    assert all(it.result().success for it in futures)
    assert refused.done() and not refused.result().success and not refused.cancel()
    assert not late.done()
    with pytest.raises(TimeoutError):
        late.result(timeout=0.05)
    with pytest.raises(TimeoutError):
        list(dspyx.as_completed([late], timeout=0.05))
    assert late.cancel() and late.result(timeout=60).error_kind == "cancelled"
    with pytest.raises(dspyx.Cancelled):
        late.result().raise_for_error()


def test_an_event_loop_runs_many_at_once() -> None:
    async def run() -> None:
        async with DSPyPipelineExecutor() as executor:
            calls = (
                executor.aexecute(model_id="fast-program", inputs={"input": it}) for it in range(200)
            )
            results = await asyncio.gather(*calls)
            assert all(it.success for it in results)
            inputs = [{"input": it} for it in range(200)]
            batch = await executor.aexecute_batch(model_id="fast-program", inputs_list=inputs)
            assert [it.outputs for it in batch] == [it.outputs for it in results]
            assert (await executor.aget_execution_stats())["total_executions"] == 400
            await executor.aclear_cache()
            # As a cell of a notebook does, within its loop.
            assert executor.execute(model_id="fast-program", inputs={"input": 1}).success

    asyncio.run(run())
    asyncio.run(run())


def is_called_off(executor: DSPyPipelineExecutor) -> bool:
    """Whether the one batch that there is was cancelled."""
    (batch,) = batches(executor)
    return batch["status"] in ("cancelled", "cancelling")


def batches(executor: DSPyPipelineExecutor) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = executor._connected().run(calls.get("/batches"))["batches"]
    return listed


def test_a_batch_that_is_not_awaited_any_more_is_called_off(executor: DSPyPipelineExecutor) -> None:
    def has_begun() -> bool:
        return bool(executor.get_execution_stats()["total_executions"])

    async def run() -> None:
        inputs = [{"input": it} for it in range(5000)]
        task = asyncio.create_task(
            executor.aexecute_batch(model_id="fast-program", inputs_list=inputs, concurrency=1)
        )
        await asyncio.to_thread(until, "one of the batch has ended", has_begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert is_called_off(executor)
    assert executor.get_execution_stats()["successful_executions"] < 5000


@pytest.mark.parametrize("items_max", [500, 10_000])
def test_a_batch_that_is_not_awaited_while_it_is_put_in_does_not_run(
    executor: DSPyPipelineExecutor, monkeypatch: pytest.MonkeyPatch, items_max: int
) -> None:
    monkeypatch.setattr("dspyx.upload.ITEMS_MAX", items_max)
    is_on_its_way, is_not_awaited = threading.Event(), threading.Event()

    def inputs() -> Iterator[dict[str, Any]]:
        yield from ({"input": it} for it in range(5000))
        is_on_its_way.set()
        assert is_not_awaited.wait(SOON_SECONDS)

    async def run() -> None:
        task = asyncio.create_task(
            executor.aexecute_batch(model_id="fast-program", inputs_list=inputs(), concurrency=1)
        )
        await asyncio.to_thread(until, "the inputs are asked for", is_on_its_way.is_set)
        task.cancel()
        is_not_awaited.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    # What fits into one request may not even have been sent.
    assert items_max > 5000 and not batches(executor) or is_called_off(executor)
    assert executor.get_execution_stats()["successful_executions"] < 5000


def test_a_client_of_a_server_needs_its_token(executor: DSPyPipelineExecutor) -> None:
    there = DSPyPipelineExecutor(url=executor.url, token=executor.token)
    assert there.execute(model_id="fast-program", inputs={"input": 1}).success
    assert executor.get_execution_stats()["total_executions"] == 1

    with pytest.raises(dspyx.AccessDenied, match="token"):
        DSPyPipelineExecutor(url=executor.url).execute(model_id="fast-program", inputs={})
    with pytest.raises(dspyx.ServerUnavailable) as raised:
        DSPyPipelineExecutor(url="http://127.0.0.1:9").get_execution_stats()
    assert isinstance(raised.value, ConnectionError)
    with pytest.raises(dspyx.RequestError, match="No such path|no such"):
        DSPyPipelineExecutor(url=executor.url + "/elsewhere", token="x").get_execution_stats()


def test_a_connection_is_used_again(executor: DSPyPipelineExecutor) -> None:
    executor.get_execution_stats()
    transport = executor._connected()
    before = transport._connection().sock
    for number in range(5):
        executor.execute(model_id="fast-program", inputs={"input": number})
    assert transport._connection().sock is before is not None

    seen = []
    thread = threading.Thread(target=lambda: seen.append(transport._connection()))
    thread.start()
    thread.join()
    assert seen[0].sock is not before


def test_progress_is_shown_only_to_those_who_look(
    executor: DSPyPipelineExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = [{"input": 1}, {}]
    executor.execute_batch(model_id="fast-program", inputs_list=inputs)
    assert capsys.readouterr().err == ""
    executor.execute_batch(model_id="fast-program", inputs_list=inputs, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_misuse_is_told_at_once(executor: DSPyPipelineExecutor) -> None:
    with pytest.raises(ValueError, match="`program` or `model_id`"):
        executor.execute(inputs={})
    with pytest.raises(TypeError, match="give a dspy.Module"):
        executor.execute(program=lambda: None, inputs={})
    with pytest.raises(TypeError, match="cannot be sent as JSON"):
        executor.execute(model_id="fast-program", inputs={"input": object()})
    with pytest.raises(ValueError, match="is no address"):
        DSPyPipelineExecutor(url="ftp://x")
