"""The Faust host: the traps of Faust that design section 4 names, and a group shared with librdkafka workers."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from types import ModuleType
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from faust.types import TP
from faust.types.settings.settings import ProcessingGuarantee
from faust.types.tuples import Message
from mode.supervisors import CrashingSupervisor
from prometheus_client import CollectorRegistry

from credit_stream.company import events, year_plan
from credit_stream.core.events import OrderPlaced
from credit_stream.core.topics import COMMANDS, CUSTOMERS, GROUPS, ORDERS
from credit_stream.engine.ports import InputRecord
from credit_stream.hosts import librdkafka
from credit_stream.hosts.faust.application import CreditApp
from credit_stream.hosts.faust.consumer import End, Read, Reader, group_consumer
from credit_stream.hosts.faust.environment import WorkerSettings, read_worker
from credit_stream.hosts.faust.intake import Intake
from credit_stream.hosts.faust.log_lines import LibraryLines
from credit_stream.hosts.faust.membership import Membership
from credit_stream.hosts.faust.sensor import PrometheusSensor
from credit_stream.hosts.faust.stream import PromptStream
from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import BadConnection, OpeningCancelled
from credit_stream.hosts.kafka.partitions import GROUP_TOPICS, Partitions
from credit_stream.local_kafka import LocalKafka
from credit_stream.service.logs import Log
from tests.kafka.proof import prove
from tests.kafka.workers import (
    FAUST,
    LOOK_SECONDS,
    PARTITIONS,
    SESSION_SECONDS,
    Group,
    Source,
    Worker,
    WorkerProcess,
    customer,
    customer_of,
    dead_letters,
    decisions,
    order,
    send,
    settings,
    system,
    until,
)

NOWHERE = Connection(brokers="127.0.0.1:1", application_id="nobody")
WORKER = WorkerSettings(state=Path("nowhere"), session_seconds=SESSION_SECONDS)
ORDERS_0, ORDERS_1, GROUPS_0 = TP(ORDERS, 0), TP(ORDERS, 1), TP(GROUPS, 0)


def application(connection: Connection = NOWHERE, worker: WorkerSettings = WORKER) -> CreditApp:
    """An application that is configured and not started."""
    app = CreditApp(connection, worker, Log())
    app.finalize()
    return app


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """`credit_stream.app`, imported with an environment that is enough for it."""
    monkeypatch.setenv("CREDIT_STREAM_BROKERS", NOWHERE.brokers)
    monkeypatch.setenv("CREDIT_STREAM_STATE", str(tmp_path))
    monkeypatch.delitem(sys.modules, "credit_stream.app", raising=False)
    yield importlib.import_module("credit_stream.app")
    monkeypatch.delitem(sys.modules, "credit_stream.app", raising=False)


# --- settings and agents ----------------------------------------------------------------------------------------


def test_every_stream_of_the_group_has_one_agent_that_reads_it_alone(module: ModuleType) -> None:
    """The subscription is exactly what librdkafka workers subscribe to, else range would not co-partition."""
    agents = {agent.name: agent for agent in module.app.agents.values()}
    expected = {stream.removeprefix("credit.").replace("-", "_"): stream for stream in GROUP_TOPICS}
    assert {name: list(agent.get_topic_names()) for name, agent in agents.items()} == {
        f"credit_stream.app.{name}": [stream] for name, stream in expected.items()
    }
    assert {agent.concurrency for agent in agents.values()} == {1}


def test_no_event_is_ever_acknowledged_to_faust(module: ModuleType) -> None:
    """Trap: an exception acknowledges, and commits pass events that are at work. Nothing is counted, so nothing can."""
    assert not any(agent.channel.acks for agent in module.app.agents.values())


def test_a_stream_that_the_core_does_not_read_gets_no_agent() -> None:
    """Its topic need not be there; the agent's function stays what it was."""
    app = application()

    async def handler(stream: PromptStream) -> None: ...

    assert app.reads("credit.of-later")(handler) is handler
    assert not app.agents


def test_the_environment_of_faust_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap: its variables win over what an application says, exactly-once that loses and doubles among them."""
    before = application()
    for name, value in {
        "PROCESSING_GUARANTEE": "exactly_once",
        "BROKER_URL": "kafka://elsewhere",
        "AGENT_SUPERVISOR": "mode.OneForOneSupervisor",
        "TOPIC_ALLOW_DECLARE": "yes",
        "TOPIC_DISABLE_LEADER": "no",
        "STREAM_WAIT_EMPTY": "yes",
        "APP_WEB_ENABLED": "yes",
    }.items():
        monkeypatch.setenv(name, value)
    after = application()
    assert after.conf.processing_guarantee == ProcessingGuarantee.AT_LEAST_ONCE
    assert after.conf.agent_supervisor is CrashingSupervisor
    assert not (after.conf.topic_allow_declare or after.conf.stream_wait_empty or after.conf.reply_create_topic)
    assert after.conf.topic_disable_leader
    assert str(after.conf.broker) == str(before.conf.broker)


def test_neither_web_server_nor_producer_starts_though_the_command_line_turns_the_web_on() -> None:
    """Trap: `faust worker` sets this to True unless told otherwise, and the server listens without a password."""
    app = application()
    app.conf.web_enabled = True
    assert not app.conf.web_enabled
    assert not list(app.boot_strategy.web_server())
    assert not list(app.boot_strategy.kafka_producer())


def test_the_environment_is_read_with_every_fault_at_once() -> None:
    """Numbers have bounds, and a state directory must be named."""
    with pytest.raises(BadConnection) as caught:
        read_worker({"CREDIT_STREAM_SESSION_SECONDS": "0", "CREDIT_STREAM_PROBE_PORT": "http"})
    assert [fault.partition(" ")[0] for fault in caught.value.faults] == [
        "Set",
        "CREDIT_STREAM_SESSION_SECONDS",
        "CREDIT_STREAM_PROBE_PORT",
    ]
    assert read_worker({"CREDIT_STREAM_STATE": "here", "CREDIT_STREAM_PROBE_PORT": ""}) == WorkerSettings(
        state=Path("here")
    )


def test_without_brokers_and_directory_the_worker_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback: Faust shows a usage error."""
    import click

    for name in ("BROKERS", "CONNECTION", "STATE"):
        monkeypatch.delenv(f"CREDIT_STREAM_{name}", raising=False)
    monkeypatch.delitem(sys.modules, "credit_stream.app", raising=False)
    with pytest.raises(click.UsageError, match=r"(?s)CREDIT_STREAM_BROKERS.*CREDIT_STREAM_STATE"):
        importlib.import_module("credit_stream.app")


# --- from Faust to the engine -----------------------------------------------------------------------------------


class Recorder:
    """In the place of `Partitions`: notes what it is told, and opens as slowly as a test wants."""

    def __init__(self) -> None:
        self.fed: list[tuple[str, int, int]] = []
        self.ended: list[tuple[str, int, int]] = []
        self.calls: list[str] = []
        self.may_open = Flag()
        self._closed: set[int] = set()

    def feed(self, records: Sequence[InputRecord]) -> None:
        self.fed += [(each.topic, each.partition, each.offset) for each in records]

    def known_end(self, stream: str, partition: int, offset: int) -> None:
        pass

    def reached_end(self, stream: str, partition: int, offset: int) -> None:
        self.ended.append((stream, partition, offset))

    def open(self, partition: int) -> Mapping[str, int]:
        self.calls.append(f"open {partition}")
        while not self.may_open.wait(LOOK_SECONDS):
            if partition in self._closed:
                raise OpeningCancelled("taken away")
        return dict.fromkeys(GROUP_TOPICS, 7)

    def close(self, partitions: Sequence[int]) -> None:
        self.calls.append(f"close {list(partitions)}")
        self._closed |= set(partitions)


class FaustEvent:
    """What an agent gets, as far as the intake looks at it."""

    def __init__(self, place: TP, offset: int, reading: int, key: bytes | None = b"C1", value: bytes | None = b"x"):
        self.message = Read(place.topic, place.partition, offset, 0.0, 0, None, key, value, None, tp=place)
        self.message.reading = reading
        self.message.timestamp_ms = 1_000 + offset


def intake_of(recorder: Recorder) -> Intake:
    """An intake that hands over to a recorder."""
    return Intake(NOWHERE, cast("Partitions", recorder))


def take(intake: Intake, *found: FaustEvent) -> None:
    """As an agent does."""
    intake.take(cast("Any", found))


def test_records_of_an_earlier_reading_are_left_out_wherever_they_lie() -> None:
    """They may lie in any queue of Faust's when positions are set; what is behind a hole must not be taken."""
    recorder = Recorder()
    intake = intake_of(recorder)
    take(intake, FaustEvent(ORDERS_0, 5, reading=1))
    intake.open({ORDERS_0: 5})
    take(intake, FaustEvent(ORDERS_0, 5, reading=0))
    intake.begin({ORDERS_0: 5}, 2)
    take(intake, FaustEvent(ORDERS_0, 9, reading=1), FaustEvent(ORDERS_0, 5, reading=2))
    take(intake, FaustEvent(ORDERS_0, 5, reading=2), FaustEvent(ORDERS_0, 8, reading=2))
    assert recorder.fed == [(ORDERS, 0, 5), (ORDERS, 0, 8)]
    assert intake.next_offsets == {ORDERS_0: 9}
    intake.close()
    take(intake, FaustEvent(ORDERS_0, 9, reading=2))
    intake.begin({ORDERS_0: 9}, 3)
    take(intake, FaustEvent(ORDERS_0, 9, reading=3))
    assert len(recorder.fed) == 2


def test_an_end_is_told_only_when_all_before_it_was_handed_over() -> None:
    """Markers at the end of a stream take offsets and never come; records that were drained may still be on the way."""
    recorder = Recorder()
    intake = intake_of(recorder)
    intake.open({ORDERS_0: 5, ORDERS_1: 3})
    intake.begin({ORDERS_0: 5, ORDERS_1: 3}, 1)
    intake.note_ends({ORDERS_0: End(5, 5, None, 1), ORDERS_1: End(3, 3, 4, 1)})
    assert recorder.ended == []
    intake.note_ends({ORDERS_0: End(9, 8, 9, 1), ORDERS_1: End(4, 3, 4, 1)})
    assert recorder.ended == [(ORDERS, 1, 4)]
    assert intake.waits_for_ends
    take(intake, FaustEvent(ORDERS_0, 7, reading=1))
    intake.note_ends({ORDERS_0: End(9, 8, 9, 0)})
    assert intake.waits_for_ends, "an end of an earlier reading tells nothing of this one"
    intake.note_ends({ORDERS_0: End(9, 8, 9, 1), GROUPS_0: End(0, 0, 0, 1)})
    assert recorder.ended[-1] == (ORDERS, 0, 9)
    assert not intake.waits_for_ends


def test_a_record_without_value_and_a_key_that_is_no_text_are_handed_over() -> None:
    """What cannot be read becomes a dead letter of the core, and nothing of Faust may swallow it."""
    fed: list[InputRecord] = []
    recorder = Recorder()
    recorder.feed = fed.extend  # type: ignore[method-assign]
    intake = intake_of(recorder)
    intake.open({ORDERS_0: 0})
    intake.begin({ORDERS_0: 0}, 1)
    take(intake, FaustEvent(ORDERS_0, 0, 1, key=None, value=None), FaustEvent(ORDERS_0, 1, 1, key=b"\xff"))
    assert [(each.key, each.payload, each.timestamp) for each in fed] == [(None, b"", 1_000), (None, b"x", 1_001)]


def everything(partition: int) -> list[TP]:
    """All topics of a partition."""
    return [TP(stream, partition) for stream in GROUP_TOPICS]


class OneMember:
    """A membership with what it opened, said and failed with."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.opened: list[Mapping[TP, int]] = []
        self.said: list[str] = []
        self.failures: list[BaseException] = []
        self.membership = Membership(
            NOWHERE, cast("Partitions", self.recorder), self._opened, self.said.append, self.failures.append
        )

    async def _opened(self, offsets: Mapping[TP, int]) -> None:
        self.opened.append(offsets)


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Waits in an event loop."""
    await asyncio.to_thread(until, condition, what)


def test_what_is_taken_away_while_it_is_restored_is_never_read() -> None:
    """Openings that run are cancelled, those that wait for a thread never begin, and both are closed."""

    async def run() -> OneMember:
        group = OneMember()
        group.membership.assigned([place for partition in range(9) for place in everything(partition)])
        await eventually(lambda: len(group.recorder.calls) == 4, "four are being opened")
        assert await group.membership.revoked() == list(range(9))
        assert await group.membership.revoked() == []
        return group

    group = asyncio.run(run())
    assert sorted(call for call in group.recorder.calls if call.startswith("open")) == [f"open {p}" for p in range(4)]
    assert f"close {list(range(9))}" in group.recorder.calls
    assert not group.opened and not group.failures


def test_a_partition_that_comes_with_some_topics_only_is_not_opened() -> None:
    """A leader that does not know a topic yet leaves it out; a task without one of its streams would wait for ever."""

    async def run() -> OneMember:
        group = OneMember()
        group.recorder.may_open.set()
        group.membership.assigned([*everything(0), *everything(1)[1:]])
        await eventually(lambda: group.opened, "the whole one is opened")
        await group.membership.revoked()
        return group

    group = asyncio.run(run())
    assert group.opened == [dict.fromkeys(everything(0), 7)]
    assert group.said == [f"The group gave partition 1 without {GROUP_TOPICS[0]}: it has to wait."]


def test_a_partition_that_cannot_be_opened_ends_the_worker() -> None:
    """Nobody may take it for one that is at work."""

    def refuse(partition: int) -> Mapping[str, int]:
        raise ValueError("partition 0 is open")

    async def run() -> OneMember:
        group = OneMember()
        group.recorder.open = refuse  # type: ignore[method-assign]
        group.membership.assigned(everything(0))
        await eventually(lambda: group.failures, "it fails")
        return group

    assert [str(failure) for failure in asyncio.run(run()).failures] == ["partition 0 is open"]


class Crowded(Recorder):
    """Of these too much waits in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: set[tuple[str, int]] = set()

    def crowded(self) -> set[tuple[str, int]]:
        return self.streams


def test_a_stream_of_which_too_much_waits_is_paused_alone_until_there_is_room() -> None:
    """What is not open any more is left to whoever opens it."""

    async def run() -> None:
        app, recorder = application(), Crowded()
        app._partitions = cast("Partitions", recorder)
        app._intake = intake_of(recorder)
        app.intake.open({ORDERS_0: 0, ORDERS_1: 0, GROUPS_0: 0})
        reader = cast("Reader", app.consumer)
        reader._set_active_tps({ORDERS_0, ORDERS_1, GROUPS_0})
        recorder.streams = {(ORDERS, 0), (GROUPS, 0)}
        paused = app._mind_the_crowd(set())
        assert reader._active_partitions == {ORDERS_1}
        reader.on_buffer_drop(ORDERS_0)
        reader.resume_partitions({ORDERS_0})
        app._mind_the_crowd(paused)
        assert reader._active_partitions == {ORDERS_1}, "Faust resumed it by itself"
        recorder.streams = {(GROUPS, 0)}
        paused = app._mind_the_crowd(paused)
        assert reader._active_partitions == {ORDERS_0, ORDERS_1}
        app.intake.close()
        recorder.streams = set()
        app._mind_the_crowd(paused)
        assert reader._active_partitions == {ORDERS_0, ORDERS_1}

    asyncio.run(run())


# --- streams, sensors, log --------------------------------------------------------------------------------------


@asynccontextmanager
async def stream_of(app: CreditApp) -> AsyncIterator[tuple[PromptStream, Callable[[int], None], Callable[[], None]]]:
    """A stream, what puts an event into it, and what ends it as Faust does."""
    channel: Any = app.channel()
    stream = cast("PromptStream", app.stream(channel))
    queue = cast("Any", stream.channel).queue
    app.flow_control.resume()

    def put(offset: int) -> None:
        message = Message(ORDERS, 0, offset, 0.0, 0, None, None, b"x", None, tp=ORDERS_0)
        queue.put_nowait(app.create_event(None, b"x", None, message))

    yield stream, put, lambda: queue._throw(StopAsyncIteration())
    await stream.stop()


def test_a_batch_is_all_that_waits_and_is_not_waited_for() -> None:
    """Faust's own batches are waited for, `within` each time. An agent that is ended ends without a fault."""

    async def run() -> list[list[int]]:
        batches: list[list[int]] = []
        app = application()
        seen: list[int] = []
        app.sensors.add(cast("Any", Watcher(seen)))
        async with stream_of(app) as (stream, put, end):
            for offset in range(5):
                put(offset)
            async for batch in stream.noack_take(3, within=3_600):
                batches.append([event.message.offset for event in batch])
                if len(batches) == 2:
                    end()
        assert seen == list(range(5))
        return batches

    assert asyncio.run(run()) == [[0, 1, 2], [3, 4]]


class Watcher(PrometheusSensor):
    """A sensor that notes which events it was told of."""

    def __init__(self, seen: list[int]) -> None:
        super().__init__(CollectorRegistry(), NOWHERE)
        self._seen = seen

    def on_stream_event_in(self, tp: TP, offset: int, stream: Any, event: Any) -> None:
        self._seen.append(offset)


def test_the_sensor_counts_records_and_rebalances() -> None:
    """By stream, whatever the topics are called on the cluster."""
    registry = CollectorRegistry()
    sensor = PrometheusSensor(registry, Connection(brokers="x:1", topic_prefix="here."))
    event: Any = None
    sensor.on_stream_event_in(TP("here.credit.orders", 3), 17, event, event)
    sensor.on_topic_buffer_full(TP("here.credit.orders", 3))
    state = sensor.on_rebalance_start(event)
    assert registry.get_sample_value("credit_stream_faust_rebalancing") == 1
    sensor.on_rebalance_return(event, state)
    sensor.on_rebalance_end(event, state)
    value = registry.get_sample_value
    assert value("credit_stream_faust_received_total", {"topic": "credit.orders"}) == 1
    assert value("credit_stream_faust_buffer_full_total", {"topic": "credit.orders"}) == 1
    assert value("credit_stream_faust_rebalances_total") == 1
    assert value("credit_stream_faust_join_seconds_count") == 1
    assert value("credit_stream_faust_rebalance_seconds_count") == 1
    assert value("credit_stream_faust_rebalancing") == 0


def test_the_log_of_faust_is_written_without_arguments_which_may_quote_an_input(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line of JSON each; aiokafka speaks of brokers and topics only, so its lines are whole."""
    handler = LibraryLines(Log())
    for name in ("faust.streams", "aiokafka.consumer.group_coordinator"):
        record = logging.LogRecord(name, logging.WARNING, "file", 1, "Skipping %r", ("Mrs. Smith",), None)
        handler.handle(record)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["Skipping %r", "Skipping 'Mrs. Smith'"]
    assert {line["level"] for line in lines} == {"warning"}


def test_faust_cannot_commit() -> None:
    """Trap: commits that pass unfinished events. Its consumer does not know how."""

    async def run() -> None:
        reader = cast("Reader", application().consumer)
        assert await reader.commit() is False
        with pytest.raises(AssertionError):
            await reader._commit({ORDERS_0: 1})

    asyncio.run(run())


# --- one group with librdkafka ----------------------------------------------------------------------------------

GROUP_PARTITIONS = 7
"""Not a multiple of any number of members here but one: somebody always gets more than the others."""


class Librdkafka:
    """A bare member with the consumer of the librdkafka host, polled in a thread. Only that thread may ask it for its
    assignment: from another it waits for ever while the group shares out."""

    def __init__(self, connection: Connection) -> None:
        self.places: list[Any] = []
        self._is_closing = False
        self._consumer = Consumer(librdkafka._group_settings(connection, None, SESSION_SECONDS), logger=QUIET)
        self._consumer.subscribe(topics_on(connection), on_assign=self._assigned, on_revoke=self._revoked)
        self._thread = Thread(target=self._poll)
        self._thread.start()

    def close(self) -> None:
        """Leaves the group."""
        self._is_closing = True
        self._thread.join()

    def _assigned(self, _: Consumer, places: list[Any]) -> None:
        self.places = places

    def _revoked(self, _: Consumer, places: list[Any]) -> None:
        self.places = []

    def _poll(self) -> None:
        while not self._is_closing:
            self._consumer.poll(0.1)
        self._consumer.close()


def topics_on(connection: Connection) -> list[str]:
    """What the group subscribes to."""
    return [connection.topic(stream) for stream in GROUP_TOPICS]


class Members:
    """Bare members of a group, with the consumers that the workers of both hosts have."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._fausts: list[Any] = []
        self._librdkafkas: list[Librdkafka] = []

    async def add(self, kind: str) -> None:
        """One more, of this host."""
        if kind == FAUST:
            consumer = group_consumer(application(self._connection))
            await consumer.start()
            consumer.subscribe(topics_on(self._connection))
            self._fausts.append(consumer)
        else:
            self._librdkafkas.append(Librdkafka(self._connection))

    def owners(self) -> dict[int, dict[str, int]]:
        """For each partition the members that have topics of it, with the number of topics."""
        places = {f"faust {number}": each.assignment() for number, each in enumerate(self._fausts)}
        places |= {f"librdkafka {number}": each.places for number, each in enumerate(self._librdkafkas)}
        owners: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for member, found in places.items():
            for place in found:
                owners[place.partition][member] += 1
        return owners

    def have_shared(self) -> bool:
        """Whether each partition has one member with all topics, and no member has two more than another."""
        owners = self.owners()
        if sorted(owners) != list(range(GROUP_PARTITIONS)):
            return False
        if any(list(found.values()) != [len(GROUP_TOPICS)] for found in owners.values()):
            return False
        shares = Counter(member for found in owners.values() for member in found)
        members = len(self._fausts) + len(self._librdkafkas)
        return len(shares) == members and max(shares.values()) - min(shares.values()) <= 1

    async def close(self) -> None:
        """All of them leave."""
        for found in self._fausts:
            await found.stop()
        for member in self._librdkafkas:
            await asyncio.to_thread(member.close)


@pytest.mark.parametrize("first", [FAUST, "librdkafka"])
def test_members_of_both_hosts_share_partitions_so_that_each_has_one_owner(
    kafka: LocalKafka, topic_prefix: str, first: str
) -> None:
    """One to three of each. The first is the group's leader, which reckons for all: both reckon alike enough."""
    connection = system(kafka, topic_prefix, GROUP_PARTITIONS)
    other = "librdkafka" if first == FAUST else FAUST

    async def run() -> None:
        members = Members(connection)
        try:
            for kind in (first, other, other, first, first, other):
                await members.add(kind)
                await eventually(members.have_shared, f"all have their share after {kind} came in")
        finally:
            await members.close()

    asyncio.run(run())


def test_workers_of_both_hosts_hand_partitions_over_in_the_middle_of_a_stream(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """A company's history comes in while a librdkafka worker joins a Faust worker, and while that one leaves."""
    connection = system(kafka, topic_prefix)
    history = events(year_plan())
    with WorkerProcess(connection, tmp_path / "faust", FAUST) as first, Group(connection) as group:
        send(connection, islice(history, 400))
        until(lambda: sum(group.committed().values()) > 100, "the Faust worker is at work")
        with Worker(connection, tmp_path / "librdkafka") as second:
            until(lambda: len(second.at_work) == 1, "both have a partition")
            send(connection, islice(history, 150))
            assert first.stop() == 0
            until(lambda: len(second.at_work) == PARTITIONS, "the librdkafka worker has all")
            send(connection, islice(history, 150))
            group.wait()
    proof = prove(connection, PARTITIONS)
    assert not proof.differences
    assert proof.inputs >= 700


# --- a worker on a real broker ----------------------------------------------------------------------------------


def lines_of(worker: WorkerProcess) -> list[dict[str, Any]]:
    """The worker's log."""
    return [json.loads(line) for line in worker.log.splitlines() if line.startswith('{"')]


def wait_for_line(worker: WorkerProcess, event: str) -> dict[str, Any]:
    """The first line of this event."""
    until(lambda: any(line["event"] == event for line in lines_of(worker)), f"the worker says '{event}'")
    return next(line for line in lines_of(worker) if line["event"] == event)


def topics_of(kafka: LocalKafka) -> set[str]:
    """All topics of the broker."""
    return set(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=30).topics)


def test_a_history_is_decided_as_a_straight_replay_decides_it(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Written in bulk before the worker starts. It makes no topic and no directory of its own, and ends with 0."""
    connection = system(kafka, topic_prefix)
    topics = topics_of(kafka)
    send(connection, islice(events(year_plan()), 500))
    environment = {"CREDIT_STREAM_PROBE_PORT": "0"}
    with WorkerProcess(connection, tmp_path / "faust", FAUST, environment=environment) as worker:
        url = wait_for_line(worker, "started")["probes"]
        with Group(connection) as group:
            group.wait()
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            metrics = answer.read().decode()
        assert worker.stop() == 0
    proof = prove(connection, PARTITIONS)
    assert not proof.differences
    assert {name for name in topics_of(kafka) - topics if name.startswith(topic_prefix) or "assignor" in name} == set()
    assert not list(Path.cwd().glob("*-data")), "Faust has made a directory for its tables"
    received = re.findall(r'^credit_stream_faust_received_total\{topic="(.*)"\} (.*)$', metrics, re.MULTILINE)
    taken = re.findall(r'^credit_stream_events_total\{topic="(.*)"\} (.*)$', metrics, re.MULTILINE)
    assert {(topic, count) for topic, count in taken if topic in GROUP_TOPICS} == {
        (topic, count) for topic, count in received if count != "0.0"
    }
    assert all(line["level"] == "info" for line in lines_of(worker) if line["event"] != "noticed")


def transactional(connection: Connection) -> Producer:
    """A producer of inputs that writes in transactions."""
    producer = Producer(
        {
            **connection.client(),
            "transactional.id": f"{connection.application_id}-upstream",
            "partitioner": "murmur2_random",
        },
        logger=QUIET,
    )
    producer.init_transactions(60)
    return producer


def test_only_committed_records_are_taken_and_markers_at_an_end_hold_nothing_up(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Trap: Faust reads uncommitted. And a marker at an end is never delivered: a catch-up must not wait for it."""
    connection = system(kafka, topic_prefix)
    near, far = customer_of(0), customer_of(1)
    send(connection, [settings(), customer(near), customer(far)])
    with Source(connection) as source:
        source._producer.close()
        source._producer = producer = transactional(connection)
        producer.begin_transaction()
        source.send(order("committed", near))
        producer.commit_transaction(60)
        producer.begin_transaction()
        source.send(order("aborted", near))
        source.send(order("aborted-too", far))
        source.send(customer(far, limit_minor=1))
        producer.flush(60)
        producer.abort_transaction(60)
        with WorkerProcess(connection, tmp_path / "faust", FAUST):
            until(lambda: set(decisions(connection)) == {"committed"}, "the committed order is decided")
            producer.begin_transaction()
            source.send(order("open", near))
            producer.flush(60)
            send(connection, [order("behind", near), order("beside", far)])
            until(lambda: "beside" in decisions(connection), "what lies beside the open transaction is decided")
            assert set(decisions(connection)) == {"committed", "beside"}
            producer.commit_transaction(60)
            until(lambda: {"open", "behind"} <= set(decisions(connection)), "what was open is decided")
        assert decisions(connection)["beside"].verdict == "released"


def test_poison_from_a_foreign_producer_becomes_dead_letters_and_the_stream_goes_on(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Trap: a value that Faust cannot decode is acknowledged and gone. No value, a key that is no text, no Avro."""
    connection = system(kafka, topic_prefix)
    with Source(connection) as source:
        for stream in (ORDERS, CUSTOMERS, COMMANDS):
            source.write(stream, 0, None, "nobody")
            source.write(stream, 0, b"\x00\x00\x00\x00\x07", b"\xff\xfe")
            source.write(stream, 0, b"", None)
    send(connection, [settings(), customer(customer_of(0)), order("O1", customer_of(0))])
    with WorkerProcess(connection, tmp_path / "faust", FAUST) as worker:
        until(lambda: "O1" in decisions(connection), "the stream goes on")
        until(lambda: len(dead_letters(connection)) == 9, "all of it is in the dead letters")
        assert worker.process.poll() is None


SHORT_SESSION_SECONDS = 2
SLOW_OPENING = f"""
import time
from credit_stream.hosts.kafka.partitions import Partitions
swift = Partitions.open
def slow(self, partition):
    time.sleep({1.5 * SHORT_SESSION_SECONDS})
    return swift(self, partition)
Partitions.open = slow
"""


def test_a_restore_that_is_longer_than_the_session_keeps_the_membership(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Trap: aiokafka sends no heartbeat while it is in the callback of a rebalance."""
    connection = system(kafka, topic_prefix)
    send(connection, [settings(), customer(customer_of(0)), order("O1", customer_of(0))])
    environment = {"CREDIT_STREAM_SESSION_SECONDS": str(SHORT_SESSION_SECONDS)}
    with WorkerProcess(connection, tmp_path / "faust", FAUST, before=SLOW_OPENING, environment=environment) as worker:
        until(lambda: "O1" in decisions(connection), "the order is decided")
        assert sum(line["event"] == "assigned" for line in lines_of(worker)) == 1


STARTING_BROKERS = """
import time
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError
from credit_stream.hosts.faust import consumer
consumer.METADATA_AGE_MS, consumer.START_AGAIN_SECONDS, consumer.START_SECONDS_MAX = 1_000, 0.1, {patience}
start, known, tries, shared = consumer.AIOKafkaConsumer.start, ClusterMetadata.partitions_for_topic, [], []
async def refused(self):
    tries.append(self)
    if len(tries) <= {refused}:
        raise KafkaConnectionError("refused")
    await start(self)
def unknown(self, topic):
    return known(self, topic) if shared else None
assign = consumer.RangePartitionAssignor.assign.__func__
@classmethod
def share_out(kind, cluster, members):
    try:
        return assign(kind, cluster, members)
    finally:
        # Only now: aiokafka notes behind this what it knew.
        import asyncio
        asyncio.get_running_loop().call_later(0.5, shared.append, True)
consumer.AIOKafkaConsumer.start = refused
ClusterMetadata.partitions_for_topic = unknown
consumer.RangePartitionAssignor.assign = share_out
"""


def test_a_worker_that_meets_brokers_which_are_only_starting_gets_to_work(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """They refuse it twice, and then know of no topic: as the leader of the group it shares out nothing at first."""
    connection = system(kafka, topic_prefix)
    send(connection, [settings(), customer(customer_of(0)), order("O1", customer_of(0))])
    before = STARTING_BROKERS.format(refused=2, patience=60)
    with WorkerProcess(connection, tmp_path / "faust", FAUST, before=before) as worker:
        until(lambda: "O1" in decisions(connection), "the order is decided")
        given = [line["partitions"] for line in lines_of(worker) if line["event"] == "assigned"]
    assert (given[0], given[-1]) == ([], [0, 1])


def test_a_worker_that_no_broker_lets_in_ends_and_says_so(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """Trap: Faust stops without a word when its consumer cannot be started."""
    connection = system(kafka, topic_prefix)
    before = STARTING_BROKERS.format(refused=1_000, patience=1)
    with WorkerProcess(connection, tmp_path / "faust", FAUST, before=before) as worker:
        assert worker.wait() == 1
        (failed,) = [line for line in lines_of(worker) if line["event"] == "failed"]
    assert failed["kind"] == "Unreachable"
    assert "start the worker again" in failed["message"]


CRASH = """
from credit_stream.hosts import program
step = program.CREDIT.step
def crash(view, event, position):
    if getattr(event, "order_id", "") == "bad":
        raise RuntimeError("Mrs. Smith")
    return step(view, event, position)
program.CREDIT = program.CREDIT._replace(step=crash)
"""
LONG_SESSION_SECONDS = 300


def test_a_crash_in_a_task_ends_the_process_at_once_and_others_take_over(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Trap: an agent that raised is started again, behind the event. The status is 1, and the group is left: who takes
    over does not wait for the session, which is longer here than the test's patience."""
    connection = system(kafka, topic_prefix)
    send(connection, [settings(), customer(customer_of(0)), order("good", customer_of(0))])
    environment = {"CREDIT_STREAM_SESSION_SECONDS": str(LONG_SESSION_SECONDS)}
    with WorkerProcess(connection, tmp_path / "faust", FAUST, before=CRASH, environment=environment) as worker:
        until(lambda: "good" in decisions(connection), "the worker is at work")
        send(connection, [order("bad", customer_of(0)), order("next", customer_of(0))])
        assert worker.wait() == 1
        crashes = [line for line in lines_of(worker) if line["event"] == "crashed"]
        assert [line["error"] for line in crashes] == ["RuntimeError"]
        assert "Mrs. Smith" not in worker.log
    with Worker(connection, tmp_path / "librdkafka"):
        until(lambda: {"bad", "next"} <= set(decisions(connection)), "another worker decides it")


NEVER_STOPPING = """
import asyncio
from credit_stream.hosts.faust import application, consumer
application.STOP_SECONDS_MAX = 0.5
async def hang(self):
    await asyncio.Event().wait()
consumer.ReaderThread.on_thread_stop = hang
"""


def test_a_worker_that_is_told_to_stop_ends_though_faust_does_not(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Trap: its two threads may wait for each other, for ever. What was taken is committed, so the status is 0."""
    connection = system(kafka, topic_prefix)
    send(connection, [settings(), customer(customer_of(0)), order("O1", customer_of(0))])
    with WorkerProcess(connection, tmp_path / "faust", FAUST, before=NEVER_STOPPING) as worker:
        until(lambda: "O1" in decisions(connection), "the order is decided")
        assert worker.stop() == 0
        said = [line["event"] for line in lines_of(worker) if line["event"] != "library"]
    assert said[-2:] == ["stopped", "noticed"]


CROWDED = """
from credit_stream.hosts.kafka import log
log.RECORDS_MAX = 20
"""


def test_little_room_in_memory_never_stops_the_streams_that_a_task_waits_for(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """A task in catch-up merges by time: were an agent to wait, Faust's one loop would in the end stop all of them."""
    connection = system(kafka, topic_prefix)
    history = list(islice(events(year_plan()), 600))
    send(connection, history)
    with WorkerProcess(connection, tmp_path / "faust", FAUST, before=CROWDED), Group(connection) as group:
        group.wait()
    orders = {event.order_id for event in history if isinstance(event, OrderPlaced)}
    assert set(decisions(connection)) == orders


def test_a_worker_without_topics_says_how_to_make_them(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """It ends with 1 and a sentence; Faust would make topics of its own, or wait for ever."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix.strip("."))
    with WorkerProcess(connection, tmp_path / "faust", FAUST) as worker:
        assert worker.wait() == 1
        (failed,) = [line for line in lines_of(worker) if line["event"] == "failed"]
    assert failed["kind"] == "WrongTopics"
    assert "topics create" in failed["message"]
    assert not {name for name in topics_of(kafka) if name.startswith(topic_prefix)}
