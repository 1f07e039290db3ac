"""The Faust application: `faust -A credit_stream.app worker -l info` (design section 4, docs/faust.md).

One agent for each input stream. An agent hands raw records to the tasks of their partitions and does nothing else; what
is decided, written and committed is the same as under `credit-stream worker`, and both may be in one group.

Faust's command line is its own, so everything comes from the environment: CREDIT_STREAM_BROKERS or
CREDIT_STREAM_CONNECTION for the cluster, CREDIT_STREAM_STATE for the directory of this worker's rows.
"""

from __future__ import annotations

import click

from credit_stream.core.topics import (
    COMMANDS,
    CUSTOMERS,
    GROUP_ANSWERS,
    GROUP_REQUESTS,
    GROUPS,
    INBOX,
    INVOICES,
    ORDERS,
    PAYMENTS,
    POSTINGS,
)
from credit_stream.hosts.faust.application import CreditApp
from credit_stream.hosts.faust.environment import read_worker
from credit_stream.hosts.faust.stream import PromptStream
from credit_stream.hosts.kafka.configuration import read_connection
from credit_stream.hosts.kafka.failures import BadConnection
from credit_stream.service.logs import Log


def _app() -> CreditApp:
    """Reads the environment; nothing is connected or opened before a worker starts."""
    faults: list[str] = []
    for read in (read_connection, read_worker):
        try:
            read()
        except BadConnection as error:
            faults += error.faults
    if faults:
        raise click.UsageError("\n       ".join(faults))
    return CreditApp(read_connection(), read_worker(), Log())


app = _app()


@app.reads(CUSTOMERS)
async def customers(stream: PromptStream) -> None:
    """Customers with their limits, and policies."""
    await app.hand_over(stream)


@app.reads(GROUPS)
async def groups(stream: PromptStream) -> None:
    """Credit groups."""
    await app.hand_over(stream)


@app.reads(ORDERS)
async def orders(stream: PromptStream) -> None:
    """Orders, from placed to closed."""
    await app.hand_over(stream)


@app.reads(INVOICES)
async def invoices(stream: PromptStream) -> None:
    """Invoices and credit notes."""
    await app.hand_over(stream)


@app.reads(PAYMENTS)
async def payments(stream: PromptStream) -> None:
    """Payments and what they settle."""
    await app.hand_over(stream)


@app.reads(COMMANDS)
async def commands(stream: PromptStream) -> None:
    """What people and other systems ask for."""
    await app.hand_over(stream)


@app.reads(POSTINGS)
async def postings(stream: PromptStream) -> None:
    """Lines of posted journals, from one task to another."""
    await app.hand_over(stream)


@app.reads(GROUP_REQUESTS)
async def group_requests(stream: PromptStream) -> None:
    """What tasks of customers ask the task of their group."""
    await app.hand_over(stream)


@app.reads(GROUP_ANSWERS)
async def group_answers(stream: PromptStream) -> None:
    """What the task of a group answers to them."""
    await app.hand_over(stream)


@app.reads(INBOX)
async def inbox(stream: PromptStream) -> None:
    """Lines whose kind their sender did not know."""
    await app.hand_over(stream)
