"""The process of `serve` and `demo`: listens, waits for a signal or a failure, and ends in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_address

from aiohttp import web
from msgspec import Struct

from credit_stream import __version__
from credit_stream.hosts.failures import HostFailure
from credit_stream.service.app import Service
from credit_stream.service.logs import Log
from credit_stream.service.loops import call_soon
from credit_stream.service.system import System

STOP_SECONDS_MAX = 10.0
"""Requests that have begun are given so long to end."""
KEEP_ALIVE_SECONDS = 75.0

Beside = Callable[[], Coroutine[None, None, None]]
"""What runs beside the service, such as the demo's live company; it is cancelled at the end."""


class Address(Struct, frozen=True):
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = 8321


class CannotListen(Exception):
    """The address is not to be had; the message says what to do."""


def run(
    system: System, address: Address, log: Log, on_ready: Callable[[str], None], beside: Beside | None = None
) -> int:
    """Runs until SIGTERM or SIGINT (0), or until the engine fails (1). The caller closes the system.

    `on_ready` is called with the URL. Raises `CannotListen`.
    """
    log.take_libraries()
    failure = asyncio.run(_run(system, address, log, on_ready, beside))
    return 0 if failure is None else 1


async def _run(
    system: System, address: Address, log: Log, on_ready: Callable[[str], None], beside: Beside | None
) -> BaseException | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, ended, None)
    system.on_failure = lambda error: call_soon(loop, _end, ended, error)
    async with listening(system, address, log) as url:
        log.info("listening", url=url, version=__version__, partitions=system.host.partitions)
        on_ready(url)
        failure = await _until(ended, beside)
        _log_end(log, failure)
    return failure


@asynccontextmanager
async def listening(system: System, address: Address, log: Log) -> AsyncIterator[str]:
    """The system at work and its service listening, at the URL that it gives; at the end requests are finished."""
    service = Service(system, log, loopback_only=is_loopback(address.host))
    runner = web.AppRunner(
        service.app(),
        access_log=None,
        shutdown_timeout=STOP_SECONDS_MAX,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        url = await _listen(runner, address)
        system.start()
        yield url
    finally:
        await runner.cleanup()


async def _until(ended: asyncio.Future[BaseException | None], beside: Beside | None) -> BaseException | None:
    """Waits for the end, with what runs beside; a failure there is one of the whole process."""
    if beside is None:
        return await ended
    task = asyncio.create_task(beside())

    def settle(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and done.exception() is not None:
            _end(ended, done.exception())

    task.add_done_callback(settle)
    failure = await ended
    task.cancel()
    await asyncio.wait({task})
    return failure


async def _listen(runner: web.AppRunner, address: Address) -> str:
    try:
        await web.TCPSite(runner, address.host, address.port, reuse_address=True).start()
    except OSError as error:
        raise CannotListen(
            f"{address.host}:{address.port} is not to be had ({error.strerror or error}). "
            "Is the system running already? Else give another --port; 0 takes a free one."
        ) from error
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _log_end(log: Log, failure: BaseException | None) -> None:
    """What a host says of its disk and directory is meant for people; other errors may quote an input."""
    if failure is None:
        log.info("stopping")
    elif isinstance(failure, HostFailure):
        log.error("failed", message=str(failure))
    else:
        log.crash("failed", failure)


def _end(ended: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not ended.done():
        ended.set_result(error)
