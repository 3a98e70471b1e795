"""The executor: runs programs on a server of its own, or on one that is there."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from . import batch, calls
from .aio import AsyncTransport
from .batch import Batch
from .calls import Options, Program
from .errors import DspyxError
from .future import ExecutionFuture
from .live import Registrar
from .result import ExecutionMode, ExecutionResult
from .server import PrivateServer
from .transport import Place, Transport

# As the executor that this one follows had; a server that nobody starts from here has more.
WORKERS = 4

_executors: weakref.WeakSet[DSPyPipelineExecutor] = weakref.WeakSet()


class DSPyPipelineExecutor:
    """Runs DSPy programs: one input or many, now or in the background.

    Without `url` (or DSPYX_URL) it starts a server of its own when it is first used, and stops it
    with `shutdown()`, at the end of a `with` block, or when this process ends. With `url` it is a
    client of that server, and shows it `token` (or DSPYX_TOKEN).
    """

    def __init__(
        self,
        cache_enabled: bool = True,
        mlflow_tracking: bool = True,
        timeout: float = 300,
        max_retries: int = 1,
        max_workers: int | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        programs_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        """An executor.

        cache_enabled: whether an execution is answered with the result of an equal one.
        mlflow_tracking: whether the own server tells MLflow (MLFLOW_TRACKING_URI) of executions.
        timeout: how many seconds one attempt may take.
        max_retries: how many more attempts there may be after the first.
        max_workers: how many executions the own server runs at once (MAX_WORKERS, or 4); elsewhere,
            how many items of one batch.
        url, token: the server to use instead of an own one.
        data_dir: the folder in which the own server keeps everything; else a temporary one.
        programs_dir: the folder of the own server's programs; else PROGRAMS_DIR, or `programs`.
        """
        self.cache_enabled = cache_enabled
        self.mlflow_tracking = mlflow_tracking
        self.timeout = timeout
        self.max_retries = max_retries
        self._given_workers = max_workers
        self.max_workers = max_workers or int(os.environ.get("MAX_WORKERS") or WORKERS)
        self._data_dir = None if data_dir is None else os.fspath(data_dir)
        self._programs_dir = None if programs_dir is None else os.fspath(programs_dir)
        self._lock = threading.RLock()
        self._is_shut = False
        self._server: PrivateServer | None = None
        self._transport: Transport | None = None
        self._async_transport: AsyncTransport | None = None
        self._registrar: Registrar | None = None
        url = url or os.environ.get("DSPYX_URL")
        self._place = Place(url, token or os.environ.get("DSPYX_TOKEN")) if url else None
        _executors.add(self)

    def execute(
        self,
        program: Any = None,
        model_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        mode: ExecutionMode | str = ExecutionMode.NORMAL,
        **options: Any,
    ) -> ExecutionResult:
        """Runs a program, and waits for its end.

        program: a `dspy.Module`, an object or a class; or what a DSPyModelLoader has loaded.
        model_id: instead of it, the id of a program that the server knows.
        inputs: the program's inputs, by name.
        mode: run it, only check the inputs, or run it and keep every step.
        options: further options of the HTTP API: `lm`, `budget`, `priority`, `metadata`, `timeout`, …
        """
        called, made = self._program(program, model_id), self._options(options)
        mode = ExecutionMode(mode)
        if mode is ExecutionMode.DRY_RUN and (refused := self._check(program, called, inputs or {})):
            return refused
        return self._connected().run(calls.execute(called, inputs or {}, mode, made))

    def execute_batch(
        self,
        program: Any = None,
        model_id: str | None = None,
        inputs_list: Iterable[Mapping[str, Any]] | None = None,
        *,
        progress: bool | None = None,
        **options: Any,
    ) -> list[ExecutionResult]:
        """Runs a program on many inputs; their results, in the order of the inputs.

        One input that fails does not fail the others. `progress` shows a bar; if it is not given,
        on a terminal and in a notebook.
        """
        put_in = self._submit_batch(program, model_id, inputs_list, options)
        try:
            return put_in.results(progress)
        except KeyboardInterrupt:
            put_in.cancel()
            raise

    def submit(
        self,
        program: Any = None,
        model_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        mode: ExecutionMode | str = ExecutionMode.NORMAL,
        **options: Any,
    ) -> ExecutionFuture:
        """Puts an execution in, as `execute`, and does not wait for its end."""
        called, transport = self._program(program, model_id), self._connected()
        made = self._options(options)
        steps = calls.submit(called, inputs or {}, ExecutionMode(mode), made, 0)
        return ExecutionFuture(transport, called, transport.run(steps))

    async def aexecute(
        self,
        program: Any = None,
        model_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        mode: ExecutionMode | str = ExecutionMode.NORMAL,
        **options: Any,
    ) -> ExecutionResult:
        """As `execute`, for event loops: thousands at once in one thread.

        To stop awaiting it does not call it off at the server.
        """
        called = await asyncio.to_thread(self._program, program, model_id)
        made, mode = self._options(options), ExecutionMode(mode)
        if mode is ExecutionMode.DRY_RUN and (refused := self._check(program, called, inputs or {})):
            return refused
        return await self._async().run(calls.execute(called, inputs or {}, mode, made))

    async def aexecute_batch(
        self,
        program: Any = None,
        model_id: str | None = None,
        inputs_list: Iterable[Mapping[str, Any]] | None = None,
        *,
        progress: bool | None = None,
        **options: Any,
    ) -> list[ExecutionResult]:
        """As `execute_batch`, for event loops. To stop awaiting it calls the rest of it off."""
        is_off = threading.Event()
        inputs = _while_awaited(inputs_list or [], is_off)

        def submit() -> Batch:
            return self._submit_batch(program, model_id, inputs, options)

        # No task: who calls all tasks off must not lose sight of what the thread goes on to do.
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        putting_in = loop.run_in_executor(None, context.run, submit)
        try:
            put_in = await asyncio.shield(putting_in)
            return await asyncio.to_thread(put_in.results, progress)
        except asyncio.CancelledError:
            is_off.set()
            await asyncio.wait([putting_in])
            # If it failed, there is nothing of it.
            if putting_in.exception() is None:
                await asyncio.to_thread(putting_in.result().cancel)
            raise

    async def aget_execution_stats(self) -> dict[str, Any]:
        """As `get_execution_stats`, for event loops."""
        return await asyncio.to_thread(self.get_execution_stats)

    async def aclear_cache(self) -> None:
        """As `clear_cache`, for event loops."""
        await asyncio.to_thread(self.clear_cache)

    async def ashutdown(self) -> None:
        """As `shutdown`, for event loops."""
        if self._async_transport is not None:
            self._async_transport.close()
        await asyncio.to_thread(self.shutdown)

    def get_execution_stats(self) -> dict[str, Any]:
        """What the server has done: totals, times in seconds, its queue, cache and workers."""
        stats = self._connected().run(calls.get("/stats"))
        done = stats.pop("statistics")
        # Before anything has run the times are unknown; who prints them expects numbers.
        times = {name: it or 0.0 for name, it in done.items() if name.endswith("_execution_time")}
        return {**done, **times, **stats}

    def clear_cache(self) -> None:
        """Forgets results and loaded programs; at a server that others use too, for all."""
        self._connected().run(calls.clear_cache())
        with self._lock:
            self._registrar = None

    def shutdown(self) -> None:
        """Stops the own server, and lets go of everything. What still runs there is called off."""
        with self._lock:
            self._is_shut = True
            server, self._server = self._server, None
            transport, self._transport = self._transport, None
            self._registrar = None
        if transport is not None:
            transport.close()
        if server is not None:
            server.stop()

    def __enter__(self) -> DSPyPipelineExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> DSPyPipelineExecutor:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.ashutdown()

    @property
    def url(self) -> str:
        """The address of the server; one of its own is started if there is none yet."""
        return self._connected().place.url

    @property
    def token(self) -> str | None:
        """The token that the server is shown."""
        return self._connected().place.token

    def _submit_batch(
        self,
        program: Any,
        model_id: str | None,
        inputs_list: Iterable[Mapping[str, Any]] | None,
        options: Mapping[str, Any],
    ) -> Batch:
        called = self._program(program, model_id)
        if self._place is not None and self._given_workers is not None:
            options = {"concurrency": self._given_workers, **options}
        made = self._options(options)
        return batch.submit(self._connected(), called, inputs_list or [], made)

    def _program(self, program: Any, model_id: str | None) -> Program:
        """What is to be run, known to the server."""
        if (program is None) == (model_id is None):
            raise ValueError("give `program` or `model_id`, and not both")
        transport = self._connected()
        if model_id is not None:
            return Program(model_id, model_id)
        with self._lock:
            if self._registrar is None:
                self._registrar = Registrar(transport, self._server)
            registrar = self._registrar
        return registrar.program(program)

    def _check(
        self, program: Any, called: Program, inputs: Mapping[str, Any]
    ) -> ExecutionResult | None:
        """What a dry run of a live module comes to if its inputs are wrong: the server knows what a
        Python program takes only when it has loaded it."""
        registrar = self._registrar
        wrong = registrar.wrong_inputs(program, inputs) if registrar and program is not None else None
        if wrong is None:
            return None
        metadata = {"mode": ExecutionMode.DRY_RUN.value}
        return ExecutionResult(
            False, None, wrong, 0.0, called.name, metadata, error_kind="validation"
        )

    def _options(self, extra: Mapping[str, Any]) -> Options:
        own = {"timeout": self.timeout, "max_retries": self.max_retries}
        made = {**own, **extra}
        if not self.cache_enabled:
            made["cache"] = False
        return Options(made)

    def _connected(self) -> Transport:
        """The way to the server, which is started if it has to be."""
        transport, server = self._transport, self._server
        if transport is not None and (server is None or server.is_alive()):
            return transport
        with self._lock:
            if self._is_shut:
                raise RuntimeError("the executor is shut down")
            if self._place is not None:
                self._transport = self._transport or Transport(self._place)
            elif self._server is None or not self._server.is_alive():
                self._server = self._start()
                self._transport = Transport(Place(self._server.url, self._server.token))
                self._registrar = None
            assert self._transport is not None
            return self._transport

    def _async(self) -> AsyncTransport:
        place = self._connected().place
        known = self._async_transport
        if known is None or known.place is not place:
            known = self._async_transport = AsyncTransport(place)
        return known

    def _start(self) -> PrivateServer:
        options = {
            "max-workers": str(self.max_workers),
            "cache-enabled": str(self.cache_enabled).lower(),
        }
        if self._programs_dir is not None:
            options["programs-dir"] = self._programs_dir
        environment = {} if self.mlflow_tracking else {"MLFLOW_TRACKING": "false"}
        return PrivateServer(options, environment, self._data_dir)


def _while_awaited(
    inputs_list: Iterable[Mapping[str, Any]], is_off: threading.Event
) -> Iterator[Mapping[str, Any]]:
    """The inputs, until nobody waits for their results any more."""
    for inputs in inputs_list:
        if is_off.is_set():
            break
        yield inputs
    if is_off.is_set():
        raise DspyxError("the batch is not awaited any more")


def _renew_locks() -> None:
    """In a forked child: who held a lock is not here."""
    for executor in list(_executors):
        executor._lock = threading.RLock()
        if executor._registrar is not None:
            executor._registrar.renew_lock()


os.register_at_fork(after_in_child=_renew_locks)
