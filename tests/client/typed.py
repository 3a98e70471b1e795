"""A program of a user who checks types strictly."""

import asyncio

from dspyx import (
    DSPyModelLoader,
    DSPyPipelineExecutor,
    ExecutionFuture,
    ExecutionMode,
    ExecutionResult,
    LMError,
    as_completed,
)


def run() -> list[str]:
    with DSPyPipelineExecutor(cache_enabled=True, timeout=30, max_retries=2) as executor:
        result: ExecutionResult = executor.execute(
            model_id="qa", inputs={"question": "Why?"}, mode=ExecutionMode.DEBUG, lm={"seed": 1}
        )
        name: str | None = result.program_name
        seconds: float = result.execution_time
        try:
            outputs = result.raise_for_error().outputs
        except LMError as error:
            outputs = error.result.outputs
        program = DSPyModelLoader().load_from_config("qa.yaml")["program"]
        futures = [executor.submit(program=program, inputs={}) for _ in range(3)]
        done: list[ExecutionFuture] = list(as_completed(futures, timeout=60))
        results = executor.execute_batch(model_id="qa", inputs_list=[{}], progress=False)
        return [str(it) for it in (name, seconds, outputs, done, *results)]


async def run_many() -> list[bool]:
    async with DSPyPipelineExecutor(url="http://localhost:8001", token="t") as executor:
        calls = (executor.aexecute(model_id="qa", inputs={"question": str(it)}) for it in range(9))
        return [it.success for it in await asyncio.gather(*calls)]
