"""The company with pools that are always short."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from msgspec.structs import replace

from credit_stream.core.events import CreditGroupUpdated, CustomerUpdated, Event

POOLS = 6
SHARE_IN_POOLS = 2
"""One customer of so many shares a limit with others."""
POOL_MINOR_MIN = 1_000_000
EXPIRES_ON = 30_000


def contested(events: Iterator[Event]) -> Iterator[Event]:
    """The same events, but many customers have no limit of their own and share one that is always short.

    Where every pool is far from its limit a fault of pools would not show.
    """
    founded: set[str] = set()
    for event in events:
        if not isinstance(event, CustomerUpdated) or crc32(event.customer_id.encode()) % SHARE_IN_POOLS:
            yield event
            continue
        group_id = f"POOL{crc32(event.customer_id.encode()[::-1]) % POOLS}"
        if group_id not in founded:
            founded.add(group_id)
            yield CreditGroupUpdated(
                event_id=f"pool/{group_id}",
                occurred_at=event.occurred_at,
                group_id=group_id,
                credit_currency=event.credit_currency,
                credit_limit_minor=max(POOL_MINOR_MIN, event.credit_limit_minor or 0),
                credit_limit_expires_on=EXPIRES_ON,
            )
        limit_minor = None if event.credit_limit_minor is None else 0
        yield replace(event, customer_credit_group=group_id, credit_limit_minor=limit_minor, unlimited_credit=False)
