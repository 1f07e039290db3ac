"""What every job reads: events of exactly 100 bytes, keyed by customer, the same for the same plan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from credit_stream.core.events import Event, OrderCancelled
from credit_stream.wire.faults import Fault

PAYLOAD_BYTES = 100

_FILLING = "." * 7

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(OrderCancelled).decode


class Load(NamedTuple):
    """Which customers events come from: evenly from all, but `hot_share` of them from the first.

    With `known` each customer has one event before that.
    """

    seed: int = 1
    customers: int = 50_000
    hot_share: float = 0.0
    known: bool = False

    def names(self) -> list[str]:
        """All customers."""
        return [f"c{number:07}" for number in range(self.customers)]

    def keys(self) -> Iterator[str]:
        """The customers of the events, one after the other, without end."""
        chance = random.Random(self.seed)
        names = self.names()
        random_, count, hot_share = chance.random, self.customers, self.hot_share
        if self.known:
            yield from names
        while True:
            yield names[0] if hot_share and random_() < hot_share else names[int(random_() * count)]


def payload(number: int, key: str) -> bytes:
    """The bytes of event `number`: the least that our engine needs to decode, which the other jobs do not look at."""
    return _encode(
        OrderCancelled(event_id=f"{number:08}", occurred_at=0, source=_FILLING, order_id="o", customer_id=key)
    )


def read(data: bytes) -> Event | Fault:
    """The event of these bytes."""
    return _decode(data)
