"""The demo's second part: the company at work beside the service, at a chosen speed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import click

from credit_stream.cli.company_player import CompanyPlayer
from credit_stream.cli.demo_clock import DemoClock
from credit_stream.service.logs import Log
from credit_stream.service.run import Address, run
from credit_stream.service.system import System

LIVE_PAUSE_SECONDS = 0.05
"""The company looks so often whether it is time for its next events."""
IDLE_SECONDS_MAX = 60.0
"""A day's events are decided within this, or the demo has failed."""
DAY_SECONDS = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def go_live(system: System, player: CompanyPlayer, clock: DemoClock, speed: float, address: Address) -> int:
    """Runs the service with the company at work beside it; the exit status."""
    while (start_at := player.next_at) is None:
        player.go_on()
    clock.set_going(start_at, speed)
    system.host.ticking = True
    began = EPOCH + timedelta(milliseconds=start_at)

    def announce(url: str) -> None:
        click.echo(f"Live from {began:%Y-%m-%d} on; a day takes {_duration(DAY_SECONDS / speed)} (--speed).")
        click.echo(f"\n  Open {url}\n\nCtrl-C stops it; the next start goes on where it stopped.")

    status = run(system, address, Log(level="warning"), announce, lambda: _play(system, player, clock))
    player.save()
    return status


async def _play(system: System, player: CompanyPlayer, clock: DemoClock) -> None:
    """Sends what occurs when its time has come."""

    def take_turn() -> None:
        if player.next_at is None:
            system.host.wait_idle(IDLE_SECONDS_MAX)
            player.go_on()
        player.send(until=clock.now())

    while True:
        await asyncio.to_thread(take_turn)
        await asyncio.sleep(LIVE_PAUSE_SECONDS)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6_000 else f"{seconds / 3_600:.3g} h"
