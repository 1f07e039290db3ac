"""A real service on a free port, with the real embedded system in a directory of the test."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from credit_stream.service.logs import Log
from credit_stream.service.run import Address, listening
from credit_stream.service.system import System
from tests.service.running import DEADLINE_SECONDS, Running, Start


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts services in directories; all are stopped at the end of the test."""
    running: list[Running] = []

    def begin(directory: Path) -> Running:
        system = System(directory, 2)
        log = io.StringIO()
        ready: Future[str] = Future()
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()

        async def main() -> None:
            try:
                async with listening(system, Address("127.0.0.1", 0), Log(log)) as url:
                    ready.set_result(url)
                    await stop.wait()
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                raise

        thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
        thread.start()

        def end() -> None:
            if loop.is_closed():
                return
            loop.call_soon_threadsafe(stop.set)
            thread.join(DEADLINE_SECONDS)
            loop.close()
            system.close()

        running.append(Running(system, ready.result(DEADLINE_SECONDS), log, end))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


@pytest.fixture
def service(start: Start, tmp_path: Path) -> Running:
    """One service."""
    return start(tmp_path / "data")
