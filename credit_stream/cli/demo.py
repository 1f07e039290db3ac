"""`credit-stream demo`: the whole system on this machine, with a year of a made-up company in it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from credit_stream.cli.faults import RunFailed

DATA_DEFAULT = "credit-stream-demo"
SPEED_DEFAULT = 2_880.0
"""A day in half a minute."""
SPEED_MAX = 1_000_000.0
ORDERS_A_DAY_OF_CUSTOMER = 27.4 / 400
"""As in the company's own year: 400 customers place about 10,000 orders, which are about 100,000 events."""


@click.command(
    epilog="\b\nExample:\n  credit-stream demo\n  credit-stream demo --data /tmp/demo --size 100 --days 30 --once"
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA_DEFAULT,
    show_default=True,
    help="Where log and state are kept.",
)
@click.option("--size", type=click.IntRange(1, 1_000_000), default=400, show_default=True, help="Customers.")
@click.option("--days", type=click.IntRange(1, 36_500), default=365, show_default=True, help="Days to stream in first.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another seed, another company.")
@click.option(
    "--speed",
    type=click.FloatRange(0, SPEED_MAX, min_open=True),
    default=SPEED_DEFAULT,
    show_default=True,
    help="How many times faster than the clock it goes on; 2880 is a day in 30 seconds.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8321, show_default=True, help="0 takes a free one.")
@click.option("--once", is_flag=True, help="End after the summary instead of going on live.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(
    data: Path, size: int, days: int, seed: int, speed: float, host: str, port: int, once: bool, as_json: bool
) -> None:
    """Stream a year of Tarnwick & Vale, a made-up trading company, into the embedded system, then go on live.

    Ctrl-C stops it; the next start goes on where it stopped.
    """
    from credit_stream.cli.company_player import CompanyPlayer, OtherCompany
    from credit_stream.cli.demo_clock import DemoClock
    from credit_stream.cli.demo_live import go_live
    from credit_stream.cli.demo_past import Past
    from credit_stream.company import Plan
    from credit_stream.hosts.failures import HostFailure
    from credit_stream.hosts.garbage import leave_garbage_alone
    from credit_stream.service.run import Address, CannotListen
    from credit_stream.service.system import System

    leave_garbage_alone()
    clock = DemoClock()
    plan = Plan(seed=seed, customers=size, days=None, orders_a_day=ORDERS_A_DAY_OF_CUSTOMER * size)
    if not as_json:
        click.echo(f"Tarnwick & Vale, a made-up company with {size:,} customers: {days:,} days, in {data}")
    try:
        system = System(data, clock=clock, ticking=False)
        with closing(system):
            player = CompanyPlayer(system, data, plan)
            past = Past(system, player, days)
            past.stream()
            if past.was_interrupted:
                click.echo("Stopped; the next start goes on from here.", err=True)
                return
            past.report(as_json=as_json)
            if once:
                return
            status = go_live(system, player, clock, speed, Address(host, port))
    except (HostFailure, CannotListen, OtherCompany) as failure:
        raise RunFailed(str(failure)) from None
    raise SystemExit(status)
