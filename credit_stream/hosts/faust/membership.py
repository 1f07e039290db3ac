"""Which partitions the group has given to this worker: opened when given, closed before they are taken away."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from faust.types import TP

from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import OpeningCancelled
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS, Partitions
from credit_stream.hosts.kafka.state import Say

OPENINGS_MAX = 4
"""Partitions that are restored at once: the disk and the brokers carry no more."""

Opened = Callable[[Mapping[TP, int]], Awaitable[None]]
"""Told from where the topics of a partition are to be read, once it is restored."""
Fail = Callable[[BaseException], None]
"""Told why the worker cannot go on."""


class Membership:
    """Lives in the main event loop; what takes long runs in threads.

    Opening goes on beside the group: while aiokafka is in a rebalance callback it sends no heartbeat after the join, so
    a restore in there that is longer than the session would end our membership, and be for nothing.
    """

    def __init__(self, connection: Connection, partitions: Partitions, opened: Opened, say: Say, fail: Fail) -> None:
        self._connection = connection
        self._partitions = partitions
        self._opened = opened
        self._say = say
        self._fail = fail
        self._openings: dict[int, Future[Mapping[str, int]]] = {}
        """One for each partition that the group has given, also when it is open by now."""
        self._followers: set[asyncio.Task[None]] = set()
        self._openers = ThreadPoolExecutor(OPENINGS_MAX, thread_name_prefix="credit-stream-open")
        self._topics = {connection.topic(stream) for stream in GROUP_TOPICS}

    def assigned(self, places: Iterable[TP]) -> None:
        """Begins to open what the group has given."""
        topics: dict[int, set[str]] = defaultdict(set)
        for place in places:
            topics[place.partition].add(place.topic)
        for partition in sorted(topics):
            lacking = self._topics - topics[partition]
            if lacking:
                # A leader of the group that does not know a topic yet leaves it out; it shares out again when it does.
                self._say(f"The group gave partition {partition} without {', '.join(sorted(lacking))}: it has to wait.")
            else:
                self._begin_to_open(partition)

    async def revoked(self) -> list[int]:
        """Closes everything: the rebalance is eager. What was taken is committed before this returns, if it can be."""
        openings, self._openings = self._openings, {}
        if not openings:
            return []
        running = {at: opening for at, opening in openings.items() if not opening.cancel() and not opening.done()}
        await asyncio.to_thread(self._partitions.close, list(openings))
        if running:
            # One may have been about to begin when it was looked for.
            await asyncio.to_thread(wait, running.values())
            await asyncio.to_thread(self._partitions.close, list(running))
        return sorted(openings)

    def _begin_to_open(self, partition: int) -> None:
        opening = self._openings[partition] = self._openers.submit(self._partitions.open, partition)
        follower = asyncio.ensure_future(self._follow(partition, opening))
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)

    async def _follow(self, partition: int, opening: Future[Mapping[str, int]]) -> None:
        try:
            offsets = await asyncio.wrap_future(opening)
        except (OpeningCancelled, asyncio.CancelledError):
            return
        except Exception as error:
            self._fail(error)
            return
        if self._openings.get(partition) is opening:
            await self._opened({TP(self._connection.topic(stream), partition): at for stream, at in offsets.items()})
