"""`credit-stream demo`: the whole system on this machine, with a year of a made-up company in it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from credit_stream.cli.faults import RunFailed

if TYPE_CHECKING:
    from credit_stream.company import Plan
    from credit_stream.service.run import Address

DATA_DEFAULT = Path("credit-stream-demo")
KAFKA_DATA_DEFAULT = Path("credit-stream-demo-kafka")
SPEED_DEFAULT = 2_880.0
"""A day in half a minute."""
SPEED_MAX = 1_000_000.0
ORDERS_A_DAY_OF_CUSTOMER = 27.4 / 400
"""As in the company's own year: 400 customers place about 10,000 orders, which are about 100,000 events."""
SECONDS_A_DAY = 86_400


@click.command(
    epilog="\b\nExample:\n"
    "  credit-stream demo\n"
    "  credit-stream demo --kafka\n"
    "  credit-stream demo --data /tmp/demo --size 100 --days 30 --once"
)
@click.option("--kafka", is_flag=True, help="On a real Kafka of this machine, with a worker under each host.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    show_default=f"{DATA_DEFAULT}, or {KAFKA_DATA_DEFAULT}",
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
@click.option("--once", is_flag=True, help="End after the summary instead of going on.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def command(
    context: click.Context,
    kafka: bool,
    data: Path | None,
    size: int,
    days: int,
    seed: int,
    speed: float,
    host: str,
    port: int,
    once: bool,
    as_json: bool,
) -> None:
    """Stream a year of Tarnwick & Vale, a made-up trading company, into the embedded system, then go on live.

    With --kafka its past, up to yesterday, goes through a real Kafka that is started on this machine, and two workers
    of one group decide it, one on librdkafka and one under Faust. Then all stays, to be looked at.

    Ctrl-C stops it; the next start goes on where it stopped.
    """
    if kafka:
        _check_options_for_kafka(context, days)
        _demo_kafka(data or KAFKA_DATA_DEFAULT, size, days, seed, once, as_json)
        return
    from credit_stream.company import Plan
    from credit_stream.service.run import Address

    plan = Plan(seed=seed, customers=size, days=None, orders_a_day=ORDERS_A_DAY_OF_CUSTOMER * size, groups=True)
    _demo(data or DATA_DEFAULT, plan, days, None if once else (speed, Address(host, port)), as_json)


def _demo(data: Path, plan: Plan, days: int, live: tuple[float, Address] | None, as_json: bool) -> None:
    """The embedded demo; `live`: how fast it goes on after the past, and where its page is."""
    from credit_stream.cli.company_player import CompanyPlayer, OtherCompany
    from credit_stream.cli.demo_clock import DemoClock
    from credit_stream.cli.demo_live import go_live
    from credit_stream.cli.demo_past import Past
    from credit_stream.hosts.failures import HostFailure
    from credit_stream.hosts.garbage import leave_garbage_alone
    from credit_stream.service.run import CannotListen
    from credit_stream.service.system import System

    leave_garbage_alone()
    clock = DemoClock()
    if not as_json:
        click.echo(f"Tarnwick & Vale, a made-up company with {plan.customers:,} customers: {days:,} days, in {data}")
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
            if live is None:
                return
            status = go_live(system, player, clock, *live)
    except (HostFailure, CannotListen, OtherCompany) as failure:
        raise RunFailed(str(failure)) from None
    raise SystemExit(status)


# --- on Kafka ---------------------------------------------------------------------------------------------------


def _check_options_for_kafka(context: click.Context, days: int) -> None:
    """Refuses what says how the embedded demo goes on."""
    for name in ("speed", "host", "port"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name} is for the embedded demo, which goes on live with a page to look at; "
                "with --kafka the clock is the machine's and the workers have ports of their own. Leave it out."
            )
    days_max = int(time.time()) // SECONDS_A_DAY - 1
    if days > days_max:
        raise click.UsageError(f"with --kafka the past ends yesterday and begins after 1970: --days {days_max} at most")


def _demo_kafka(data: Path, size: int, days: int, seed: int, once: bool, as_json: bool) -> None:
    from credit_stream.cli.kafka_options import kafka_failures

    with kafka_failures():
        from credit_stream.cli.demo_kafka import Options, run

        run(
            Options(
                data=data,
                seed=seed,
                customers=size,
                days=days,
                orders_a_day=ORDERS_A_DAY_OF_CUSTOMER * size,
                once=once,
                as_json=as_json,
            )
        )
