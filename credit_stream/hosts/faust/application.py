"""The Faust application as a host: what Faust tells of the group goes to `Partitions`, and the agents' records too."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any, cast

import faust
from aiokafka.errors import IllegalStateError
from faust.app.base import BootStrategy
from faust.types import TP, TopicT
from faust.types.agents import AgentFun

from credit_stream.hosts.failures import HostFailure
from credit_stream.hosts.faust.consumer import Reader, Transport
from credit_stream.hosts.faust.environment import WorkerSettings
from credit_stream.hosts.faust.intake import Intake
from credit_stream.hosts.faust.log_lines import Lines
from credit_stream.hosts.faust.membership import Membership
from credit_stream.hosts.faust.sensor import PrometheusSensor
from credit_stream.hosts.faust.settings import BATCH_RECORDS_MAX, Settings, settings
from credit_stream.hosts.faust.stream import PromptStream
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS, Partitions
from credit_stream.hosts.kafka.probes import Probes
from credit_stream.hosts.kafka.worker import begin

LOOK_SECONDS = 0.05
"""How often it is looked whether a stream was read to its end, and whether too much waits in memory."""
CHECK_SECONDS = 1.0
"""How often it is looked whether aiokafka is still at work, and how far the topics reach by now."""
LEAVE_SECONDS_MAX = 2.0
"""After a failure, so long is tried to leave the group; without that its others would wait for a whole session."""

STOP_SECONDS_MAX = 10.0
"""How long Faust may take to come to its end when nothing is left to be done; a second, as a rule."""

Handler = Callable[[PromptStream], Awaitable[None]]
"""What an agent does."""


class Services(BootStrategy):
    """What Faust starts: no producer, because the tasks have their own, and no web server."""

    enable_kafka_producer = False
    enable_web = False


class CreditApp(faust.App):
    """A worker of the group. What fails ends the process: nothing in here is started again."""

    BootStrategy = Services
    Settings = Settings

    def __init__(self, connection: Connection, worker: WorkerSettings, lines: Lines) -> None:
        """Nothing is connected or opened before the start."""
        self.connection = connection
        self.lines = lines
        self._worker = worker
        self._ending = Lock()
        self._has_stopped = Event()
        self._partitions: Partitions | None = None
        self._probes: Probes | None = None
        self._intake: Intake | None = None
        self._membership: Membership | None = None
        super().__init__(connection.application_id, **settings(connection, worker.session_seconds))
        self.on_partitions_assigned.connect(self._assigned)
        self.on_partitions_revoked.connect(self._revoked)
        self.on_before_shutdown.connect(self._stop_taking)

    # --- for the agents ----------------------------------------------------------------------------------------------

    def reads(self, stream: str) -> Callable[[Handler], Handler]:
        """Makes an agent for an input stream. A stream that the core does not read yet gets none: its topic is not
        there, and all workers of the group must subscribe to the same.

        Trap: more than one actor (`concurrency`) takes the records of a partition out of their order.
        """

        def register(handler: Handler) -> Handler:
            if stream in GROUP_TOPICS:
                self.agent(self._topic_of(stream), concurrency=1)(cast("AgentFun[bytes]", handler))
            return handler

        return register

    def _topic_of(self, stream: str) -> TopicT:
        """The topic of an input stream, as raw bytes; a record without a value too.

        Trap: an exception in an agent acknowledges the event, and commits can pass events that are still at work. So
        the topic has no acknowledgements at all (`acks`): what is not counted cannot be committed.
        """
        return self.topic(
            self.connection.topic(stream),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
            acks=False,
        )

    async def hand_over(self, stream: PromptStream) -> None:
        """All that an agent does. It never waits for the engine: see `BUFFER_RECORDS_MAX`."""
        try:
            async for events in stream.noack_take(BATCH_RECORDS_MAX, within=0):
                self.intake.take(events)
        except Exception as error:
            self.fail(error)
            raise

    # --- beginning and end -------------------------------------------------------------------------------------------

    async def on_first_start(self) -> None:
        """Looks at the cluster and takes the state directory. Faust would make one for its tables."""
        try:
            self._partitions = partitions = await asyncio.to_thread(self._begin)
        except Exception as error:
            self.fail(error)
            raise
        self._intake = Intake(self.connection, partitions)
        self._membership = Membership(self.connection, partitions, self._opened, self._say, self.fail)
        self.sensors.add(PrometheusSensor(partitions.metrics.registry, self.connection))
        leave_garbage_alone()
        partitions.start()
        probes = None if self._probes is None else self._probes.url
        self.lines.info("started", partitions=partitions.partitions, probes=probes)

    def _begin(self) -> Partitions:
        partitions = begin(self.connection, self._worker.state, say=self._say, on_failure=self.fail)
        if self._worker.probe_port is not None:
            self._probes = Probes(partitions, self._worker.probe_host, self._worker.probe_port)
        return partitions

    def _say(self, sentence: str) -> None:
        self.lines.warning("noticed", message=sentence)

    @property
    def partitions(self) -> Partitions:
        """What the worker has; from its start on."""
        assert self._partitions is not None
        return self._partitions

    @property
    def intake(self) -> Intake:
        """Where the agents' records go; from the start on."""
        assert self._intake is not None
        return self._intake

    @property
    def membership(self) -> Membership:
        """What the group has given; from the start on."""
        assert self._membership is not None
        return self._membership

    async def _stop_taking(self, *_: object, **__: object) -> None:
        """While we are still a member, so that nobody takes over before the last checkpoint."""
        if self._partitions is not None:
            self.intake.close()
            await self.membership.revoked()
            await asyncio.to_thread(self._partitions.stop)
            self.lines.info("stopped")
        Thread(target=self._end_in_time, name="credit-stream-end", daemon=True).start()

    async def on_shutdown(self) -> None:
        """Faust has come to its end by itself."""
        await super().on_shutdown()
        self._has_stopped.set()

    def _end_in_time(self) -> None:
        """Trap: told to stop while it joins the group, Faust's two threads wait for each other, and the process stays.
        All is committed by now, so there is nothing to be careful of."""
        if not self._has_stopped.wait(STOP_SECONDS_MAX):
            self._say(f"Faust did not come to its end within {STOP_SECONDS_MAX:.0f} s, and was not waited for.")
            self._leave(0)

    def fail(self, error: BaseException) -> None:
        """Ends the process, from any thread. Nothing is tidied up: what was not committed is taken again elsewhere."""
        if self._ending.acquire(blocking=False):
            Thread(target=self._end, args=(error,), name="credit-stream-end", daemon=True).start()

    def _crash(self, reason: BaseException) -> None:
        """Trap: a part of Faust that crashed may be started again without the rest, or hang on the way down."""
        super()._crash(reason)
        if not self.should_stop:
            self.fail(reason)

    def _end(self, error: BaseException) -> None:
        try:
            if isinstance(error, HostFailure):
                self.lines.error("failed", message=str(error), kind=type(error).__name__)
            else:
                self.lines.crash("crashed", error)
        finally:
            self._leave(1)

    def _leave(self, status: int) -> None:
        """The end of the process. It leaves the group first, if that can be done."""
        try:
            with suppress(Exception):
                if self._consumer is not None:
                    thread = self._reader.thread
                    asyncio.run_coroutine_threadsafe(thread.leave(), thread.thread_loop).result(LEAVE_SECONDS_MAX)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    # --- rebalance ---------------------------------------------------------------------------------------------------

    async def _assigned(self, *args: Any, **_: object) -> None:
        places: Iterable[TP] = args[1]  # before it stands who sent the signal
        self.lines.info("assigned", partitions=sorted({place.partition for place in places}))
        self.membership.assigned(places)

    async def _revoked(self, *_: object, **__: object) -> None:
        self.intake.close()
        closed = await self.membership.revoked()
        self.lines.info("revoked", partitions=closed)

    async def _opened(self, offsets: Mapping[TP, int]) -> None:
        """A partition is restored: from now on it is read."""
        self.lines.info("opened", partitions=sorted({place.partition for place in offsets}))
        self.intake.open(offsets)
        await self._read_from(offsets)
        self._reader.resume_partitions(offsets)

    async def read_again(self) -> None:
        """Reads what is open from where it was handed over last."""
        offsets = dict(self.intake.next_offsets)
        await self._read_from(offsets)
        # Faust has just resumed all that was assigned: what is not open yet has no position to be read from.
        self._reader.pause_partitions(self._reader.assignment() - set(offsets))

    async def _read_from(self, offsets: Mapping[TP, int]) -> None:
        try:
            reading = await self._reader.thread.seek_to(offsets)
        except IllegalStateError:
            return  # Taken away meanwhile: `_revoked` is under way.
        self.intake.begin(offsets, reading)

    @property
    def _reader(self) -> Reader:
        return cast("Reader", self.consumer)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    # --- looking after it --------------------------------------------------------------------------------------------

    @faust.Service.task
    async def _look_after(self) -> None:
        """aiokafka tells nobody that a topic was read to its end, and Faust does not know what waits in the engine."""
        thread, intake = self._reader.thread, self.intake
        paused: set[TP] = set()
        checked = 0.0
        while not self.should_stop:
            await asyncio.sleep(LOOK_SECONDS)
            is_time = self.loop.time() - checked > CHECK_SECONDS
            if is_time:
                await thread.check()
                checked = self.loop.time()
            if intake.next_offsets and (is_time or intake.waits_for_ends):
                intake.note_ends(await thread.ends())
            paused = self._mind_the_crowd(paused)

    def _mind_the_crowd(self, paused: set[TP]) -> set[TP]:
        """Pauses what waits in memory in too large numbers, and goes on with it when most was taken.

        While a partition catches up one of its streams may have to wait for another: so each is paused by itself.
        """
        crowded = {TP(self.connection.topic(stream), partition) for stream, partition in self.partitions.crowded()}
        open_places = set(self.intake.next_offsets)
        if resume := (paused - crowded) & open_places:
            self._reader.resume_partitions(resume)
        # Those that were paused before too: Faust resumes them by itself when one of its queues has emptied.
        if pause := crowded & open_places:
            self._reader.pause_partitions(pause)
        return crowded
